"""A linear model over word and character n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

WORD_SIZES = (1, 2, 3)
CHARACTER_SIZES = (2, 3, 4, 5)
# Words whose share in the scores is kept; customers use few words, most of them again and again.
KEPT_WORDS = 20_000


def word_grams(text: str) -> Iterator[str]:
    """Yield the runs of one to three words of a normalised text."""
    words = text.split(" ")
    yield from words
    for size in WORD_SIZES[1:]:
        for start in range(len(words) - size + 1):
            yield " ".join(words[start : start + size])


def character_grams(word: str) -> Iterator[str]:
    """Yield the runs of two to five characters within a word, its ends marked by blanks."""
    padded = f" {word} "
    length = len(padded)
    for size in CHARACTER_SIZES:
        if length <= size:
            yield padded
            break
        for start in range(length - size + 1):
            yield padded[start : start + size]


@dataclass(frozen=True, slots=True)
class WordGrams:
    """The n-grams of words: rows of the weight table, and the idf of each."""

    rows: Mapping[str, int]
    idf: Sequence[float]

    def weigh(self, text: str) -> tuple[list[int], list[float]]:
        """Return the rows of the known n-grams of a text, and their weights, of length one together."""
        counts: dict[int, int] = {}
        rows = self.rows
        for gram in word_grams(text):
            row = rows.get(gram)
            if row is not None:
                counts[row] = counts.get(row, 0) + 1
        idf = self.idf
        weights = [idf[row] if count == 1 else (1.0 + log(count)) * idf[row] for row, count in counts.items()]
        length = sqrt(sum(weight * weight for weight in weights)) or 1.0
        return list(counts), [weight / length for weight in weights]


@dataclass(frozen=True, slots=True)
class CharacterGrams:
    """The n-grams of characters; the words of a text add up as if they shared none, so each is looked up only once."""

    rows: Mapping[str, int]
    idf: Sequence[float]

    def of_word(self, word: str) -> tuple[list[int], list[float]]:
        """Return the rows of the known n-grams of one word, and the idf of each."""
        rows = [row for gram in character_grams(word) if (row := self.rows.get(gram)) is not None]
        return rows, [self.idf[row] for row in rows]

    def weigh(self, text: str) -> tuple[list[int], list[float]]:
        """Return the rows of all words of a text, and their weights, of length one together."""
        rows: list[int] = []
        weights: list[float] = []
        for word in text.split(" "):
            found, idf = self.of_word(word)
            rows += found
            weights += idf
        length = sqrt(sum(weight * weight for weight in weights)) or 1.0
        return rows, [weight / length for weight in weights]


class LinearModel:
    """A linear classifier over word and character n-grams.

    Args:
        words: the word n-grams.
        characters: the character n-grams.
        word_weights: one row for each word n-gram, one column for each class.
        character_weights: the same for characters.
        bias: one value for each class.
    """

    def __init__(
        self,
        words: WordGrams,
        characters: CharacterGrams,
        word_weights: NDArray[np.float32],
        character_weights: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> None:
        self._words = words
        self._characters = characters
        self._word_weights = word_weights
        self._character_weights = character_weights
        self._bias = bias
        self._share = lru_cache(KEPT_WORDS)(self._share_of)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row of class scores for each normalised text; softmax makes them probabilities."""
        return self._bias + self._by_words(texts) + self._by_characters(texts)

    def _by_words(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows: list[int] = []
        weights: list[float] = []
        starts: list[int] = []
        for text in texts:
            starts.append(len(rows))
            found, weighed = self._words.weigh(text)
            # The last entry weighs nothing: it is there for texts without a known n-gram.
            rows += [*found, 0]
            weights += [*weighed, 0.0]
        parts = self._word_weights[rows] * np.array(weights, dtype=np.float32)[:, None]
        total: NDArray[np.float32] = np.add.reduceat(parts, starts, axis=0)
        return total

    def _by_characters(self, texts: Sequence[str]) -> NDArray[np.float32]:
        shares: list[tuple[float, ...]] = []
        starts: list[int] = []
        for text in texts:
            starts.append(len(shares))
            shares += map(self._share, text.split(" "))
        total: NDArray[np.float32] = np.add.reduceat(np.array(shares, dtype=np.float32), starts, axis=0)
        lengths = np.sqrt(np.maximum(total[:, -1:], 1e-9))
        scores: NDArray[np.float32] = (total[:, :-1] / lengths).astype(np.float32)
        return scores

    def _share_of(self, word: str) -> tuple[float, ...]:
        """Return what one word adds to each class, and the square of its length."""
        rows, idf = self._characters.of_word(word)
        weights = np.array(idf, dtype=np.float32)
        added = weights @ self._character_weights[rows] if rows else np.zeros_like(self._bias)
        return (*added.tolist(), float(weights @ weights))
