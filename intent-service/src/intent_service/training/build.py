"""Trains the intent model on the phrases and writes its file."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from intent_service.adapters.encoder import SentenceEncoder
from intent_service.adapters.model_files import write_model
from intent_service.adapters.rule_files import PACKAGE, read_spellings
from intent_service.domain.ngrams import CharacterGrams, WordGrams, character_grams, word_grams
from intent_service.domain.spelling import build_speller
from intent_service.domain.text import normalise
from intent_service.training.corpus import LANGUAGES, plain_phrases, written_phrases
from intent_service.training.phrases import INTENTS, Phrase
from intent_service.training.vocabulary import common_words

SEED = 7
HIDDEN_UNITS = 128
# Several small networks, their scores averaged: one alone moves by a point with its seed.
NETWORKS = 5
# Sentence vectors have unit length; a larger scale lets the network learn in few rounds.
VECTOR_SCALE = 5.0
LINEAR_SHARE = 0.65
TEMPERATURE = 0.75


@dataclass(frozen=True, slots=True)
class Corpus:
    """Normalised texts with the number of their intent, and the words of the phrases by frequency."""

    texts: list[str]
    labels: NDArray[np.int64]
    words: list[str]
    word_languages: NDArray[np.float32]
    known_words: list[str]


def data_digest(data: Path) -> str:
    """Return a digest of all phrase files and of the code that learns from them; it changes when any of them does."""
    digest = hashlib.sha256()
    learners = [PACKAGE / "domain" / name for name in ("text.py", "ngrams.py", "spelling.py")]
    code = [*(PACKAGE / "training").glob("*.py"), *learners, PACKAGE / "rules" / "spellings.toml"]
    phrases = [path for path in data.rglob("*") if path.suffix in (".txt", ".toml")]
    for path in sorted(phrases) + sorted(code):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(data: Path, target: Path) -> None:
    """Train on the phrases under `data` and write the model to `target`."""
    encoder = SentenceEncoder()
    corpus = prepare(data)
    words = WordGrams(*_kept_grams(word_grams, corpus.texts, fewest=2))
    characters = CharacterGrams(*_kept_grams(_character_grams, corpus.texts, fewest=4))
    linear = LogisticRegression(C=5, max_iter=60, tol=1e-3, class_weight="balanced")
    linear.fit(hstack([_matrix(words, corpus.texts), _matrix(characters, corpus.texts)]).tocsr(), corpus.labels)
    networks = _fit_networks(encoder.encode(corpus.texts) * VECTOR_SCALE, corpus.labels)
    tables = {**_linear_tables(linear, words, characters), **_network_tables(networks)}
    tables["mixture"] = np.array([LINEAR_SHARE, TEMPERATURE], dtype=np.float32)
    tables["word_languages"] = corpus.word_languages.astype(np.float16)
    facts: dict[str, object] = {
        "classes": "\n".join(INTENTS),
        "word_grams": "\n".join(words.rows),
        "character_grams": "\n".join(characters.rows),
        "words": "\n".join(corpus.words),
        "known_words": "\n".join(corpus.known_words),
        "languages": "\n".join(LANGUAGES),
        "data_digest": data_digest(data),
    }
    write_model(target, tables, facts)


def prepare(data: Path) -> Corpus:
    """Return the sentences to learn from as the service will see them."""
    plain = plain_phrases(data, SEED)
    spellings = read_spellings()
    by_language: dict[str, Counter[str]] = {language: Counter() for language in LANGUAGES}
    for phrase in plain:
        by_language[phrase.language].update(normalise(phrase.text, spellings).split(" "))
    counts = sum(by_language.values(), Counter[str]())
    words = [word for word, _ in counts.most_common() if word.isalpha()]
    seen = set(words)
    known = [word for word in common_words() if word not in seen]
    speller = build_speller({word: len(words) - place for place, word in enumerate(words)}, known)
    phrases: Sequence[Phrase] = [*plain, *written_phrases(plain, data, SEED)]
    texts = [speller.corrected(normalise(phrase.text, spellings)) for phrase in phrases]
    labels = np.array([INTENTS.index(phrase.intent) for phrase in phrases])
    return Corpus(texts, labels, words, _word_languages(words, by_language), known)


def _word_languages(words: Sequence[str], counts: dict[str, Counter[str]]) -> NDArray[np.float32]:
    """Return the log-likelihood of each word in each language, with one half added to each count."""
    columns = [
        np.log((np.array([seen[word] for word in words]) + 0.5) / (seen.total() + 0.5 * len(words)))
        for seen in counts.values()
    ]
    table = np.stack(columns, axis=1)
    relative: NDArray[np.float32] = (table - table.max(axis=1, keepdims=True)).astype(np.float32)
    return relative


def _character_grams(text: str) -> Iterator[str]:
    return (gram for word in text.split(" ") for gram in character_grams(word))


def _kept_grams(
    split: Callable[[str], Iterator[str]], texts: Sequence[str], *, fewest: int
) -> tuple[dict[str, int], list[float]]:
    """Return the n-grams of at least `fewest` texts with their rows, and the idf of each."""
    seen = Counter(gram for text in texts for gram in set(split(text)))
    kept = sorted(gram for gram, count in seen.items() if count >= fewest)
    idf = [float(np.log((1 + len(texts)) / (1 + seen[gram])) + 1) for gram in kept]
    return {gram: row for row, gram in enumerate(kept)}, idf


def _matrix(grams: WordGrams | CharacterGrams, texts: Sequence[str]) -> csr_matrix:
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        rows, weights = grams.weigh(text)
        columns += rows
        values += weights
        ends.append(len(columns))
    matrix = csr_matrix((values, columns, ends), shape=(len(texts), len(grams.rows)))
    matrix.sum_duplicates()
    return matrix


def _fit_networks(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> list[MLPClassifier]:
    networks = []
    for number in range(NETWORKS):
        network = MLPClassifier((HIDDEN_UNITS,), alpha=1e-2, max_iter=10, random_state=SEED + number)
        with warnings.catch_warnings():
            # Stopping early is meant: more rounds learn the templates by heart.
            warnings.simplefilter("ignore", ConvergenceWarning)
            networks.append(network.fit(vectors, labels))
    return networks


def _linear_tables(
    model: LogisticRegression, words: WordGrams, characters: CharacterGrams
) -> dict[str, NDArray[np.generic]]:
    weights = model.coef_.T.astype(np.float16)
    return {
        "word_weights": weights[: len(words.rows)],
        "character_weights": weights[len(words.rows) :],
        "bias": model.intercept_.astype(np.float32),
        "word_idf": np.array(words.idf, dtype=np.float16),
        "character_idf": np.array(characters.idf, dtype=np.float16),
    }


def _network_tables(models: Sequence[MLPClassifier]) -> dict[str, NDArray[np.generic]]:
    """Return the networks side by side as one, whose scores are the average of theirs."""
    share = 1 / len(models)
    return {
        "hidden": np.concatenate([model.coefs_[0] * VECTOR_SCALE for model in models], axis=1).astype(np.float16),
        "hidden_bias": np.concatenate([model.intercepts_[0] for model in models]).astype(np.float32),
        "output": np.concatenate([model.coefs_[1] * share for model in models]).astype(np.float16),
        "output_bias": (np.sum([model.intercepts_[1] for model in models], axis=0) * share).astype(np.float32),
    }
