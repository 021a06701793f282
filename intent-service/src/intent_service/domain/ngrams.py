"""Turns normalised text into weighted word and character n-grams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

WORD_SIZES = (1, 2, 3)
CHARACTER_SIZES = (2, 3, 4, 5)


def word_grams(text: str) -> Iterator[str]:
    """Yield the runs of one to three words of a normalised text."""
    words = text.split(" ")
    yield from words
    for size in WORD_SIZES[1:]:
        for start in range(len(words) - size + 1):
            yield " ".join(words[start : start + size])


def character_grams(text: str) -> Iterator[str]:
    """Yield the runs of two to five characters within the words of a normalised text, word ends marked by blanks."""
    for word in text.split(" "):
        padded = f" {word} "
        length = len(padded)
        for size in CHARACTER_SIZES:
            if length <= size:
                yield padded
                break
            for start in range(length - size + 1):
                yield padded[start : start + size]


@dataclass(frozen=True, slots=True)
class Grams:
    """One kind of n-gram with its vocabulary: rows of the weight table, and the idf of each."""

    split: Callable[[str], Iterator[str]]
    rows: Mapping[str, int]
    idf: Sequence[float]

    def weigh(self, text: str) -> tuple[list[int], list[float]]:
        """Return the rows of the known n-grams of a text, and their weights, of length one together."""
        counts: dict[int, int] = {}
        rows = self.rows
        for gram in self.split(text):
            row = rows.get(gram)
            if row is not None:
                counts[row] = counts.get(row, 0) + 1
        idf = self.idf
        weights = [idf[row] if count == 1 else (1.0 + log(count)) * idf[row] for row, count in counts.items()]
        length = sqrt(sum(weight * weight for weight in weights)) or 1.0
        return list(counts), [weight / length for weight in weights]


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A linear classifier over word and character n-grams.

    Args:
        words: the word n-grams.
        characters: the character n-grams.
        word_weights: one row for each word n-gram, one column for each class.
        character_weights: the same for characters.
        bias: one value for each class.
    """

    words: Grams
    characters: Grams
    word_weights: NDArray[np.float32]
    character_weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return one score for each class of a normalised text; softmax makes them probabilities."""
        total = self.bias
        for grams, table in ((self.words, self.word_weights), (self.characters, self.character_weights)):
            rows, weights = grams.weigh(text)
            if rows:
                total = total + np.asarray(weights, dtype=np.float32) @ table[rows]
        return total
