"""What a client's words ask the index for: stop words dropped, synonyms added, spelling put right."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from llm_service.domain.lexicon import Lexicon
from llm_service.domain.normalise import stem, words

SYNONYM_WEIGHT = 0.9
CORRECTED_WEIGHT = 0.85
LONGEST_PHRASE = 3
SHORTEST_CORRECTED = 4
SURE_LENGTH = 7


@dataclass(frozen=True, slots=True)
class Term:
    """One word or phrase of a query; `alternatives` are stems with the weight of a match, `word` is as it was said."""

    word: str
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """The terms that a row has to hold, and the asking words that only help to rank questions."""

    terms: tuple[Term, ...]
    asking: tuple[str, ...] = ()


def _allowed_edits(length: int) -> int:
    if length <= 5:
        return 1
    return 2 if length <= 8 else 3


def closest_word(word: str, vocabulary: Collection[str]) -> str | None:
    """Return the word of the vocabulary that `word` is most likely a misspelling of; None when none is close.

    The first letter has to be right, which people rarely miss, but for one edit in a long word.
    """
    if len(word) < SHORTEST_CORRECTED or not word.isalpha():
        return None
    limit = _allowed_edits(len(word))
    found = process.extract(word, vocabulary, scorer=OSA.distance, score_cutoff=limit, limit=10)
    one_edit_is_sure = len(word) >= SURE_LENGTH
    fitting = [(d, match) for match, d, _ in found if match[0] == word[0] or (d <= 1 and one_edit_is_sure)]
    return min(fitting)[1] if fitting else None


def _phrases(tokens: tuple[str, ...], lexicon: Lexicon) -> Iterator[tuple[str, ...]]:
    at = 0
    stems = [stem(token) for token in tokens]
    while at < len(tokens):
        size = next((n for n in range(LONGEST_PHRASE, 1, -1) if tuple(stems[at : at + n]) in lexicon.synonyms), 1)
        yield tokens[at : at + size]
        at += size


def _known_term(phrase: tuple[str, ...], lexicon: Lexicon, known: Collection[str]) -> Term | None:
    stems = tuple(stem(token) for token in phrase)
    synonyms = lexicon.synonyms.get(stems, frozenset())
    own = stems[0] if len(stems) == 1 else ""
    if own not in known and not synonyms:
        return None
    others = [(other, SYNONYM_WEIGHT) for other in sorted(synonyms - {own})]
    return Term(" ".join(phrase), tuple([(own, 1.0), *others] if own else others))


def _term(phrase: tuple[str, ...], lexicon: Lexicon, known: Collection[str], vocabulary: Collection[str]) -> Term:
    found = _known_term(phrase, lexicon, known)
    if found:
        return found
    word = phrase[0]
    corrected = None if word in lexicon.never_misspelt else closest_word(word, vocabulary)
    meant = _known_term((corrected,), lexicon, known) if corrected else None
    if meant is None:
        return Term(word, ((stem(word), 1.0),))
    return Term(word, tuple((other, weight * CORRECTED_WEIGHT) for other, weight in meant.alternatives))


def _content(tokens: tuple[str, ...], lexicon: Lexicon, known: Collection[str], *, ask: bool) -> tuple[str, ...]:
    said = tuple(token for token in tokens if token not in lexicon.grammar)
    content = tuple(token for token in said if token not in lexicon.chat and token not in lexicon.asking)
    if content:
        return content
    if ask:
        return tuple(token for token in said if token in lexicon.asking)
    # In a clinic "consulta" is a thing that is sold, though elsewhere it is chat.
    return tuple(token for token in said if stem(token) in known) or said


def content_words(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Return the words of `text` that are neither stop words nor chat; empty when it holds nothing else."""
    dropped = lexicon.grammar | lexicon.chat | lexicon.asking
    return tuple(token for token in words(text) if token not in dropped)


def build_query(
    text: str, lexicon: Lexicon, known: Collection[str], vocabulary: Collection[str], *, ask: bool = False
) -> Query:
    """Return the query that `text` stands for.

    Args:
        text: the client's words.
        lexicon: stop words and synonyms.
        known: stems of the index.
        vocabulary: words of the index and of the lexicon, for misspelt words.
        ask: whether the rows are questions, for which asking words (where, when …) help.
    """
    tokens = words(text)
    # Phrases are looked for before stop words go: "olla a presion" has one inside.
    kept = set(_content(tokens, lexicon, known, ask=ask))
    phrases = [p for p in _phrases(tokens, lexicon) if len(p) > 1 or p[0] in kept]
    terms = {term.word: term for term in (_term(p, lexicon, known, vocabulary) for p in phrases)}
    helping = lexicon.asking | lexicon.pricing
    asking = tuple(stem(token) for token in tokens if ask and token in helping and token not in terms)
    return Query(tuple(terms.values()), asking)
