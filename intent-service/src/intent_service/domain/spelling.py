"""Corrects words that nobody knows and that are one typo away from a word of the training phrases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

SHORTEST = 5


@dataclass(frozen=True, slots=True)
class Speller:
    """The words that typos are corrected to, found by what is left of them without one letter.

    Args:
        known: words that are never corrected.
        counts: how often each word that can be the correction was seen.
        shortened: for each word with one letter left out, the words that it comes from.
    """

    known: Collection[str]
    counts: Mapping[str, int]
    shortened: Mapping[str, tuple[str, ...]]

    def corrected(self, text: str) -> str:
        """Return the normalised text with its unknown words corrected where one typo explains them."""
        words = text.split(" ")
        return " ".join(self._correct(word) if len(word) >= SHORTEST else word for word in words)

    def _correct(self, word: str) -> str:
        if word in self.counts or word in self.known or not word.isalpha():
            return word
        candidates = set(self.shortened.get(word, ()))
        for short in without_one_letter(word):
            if short in self.counts:
                candidates.add(short)
            candidates.update(self.shortened.get(short, ()))
        near = [candidate for candidate in candidates if is_one_typo(word, candidate)]
        return max(near, key=lambda found: (self.counts[found], found), default=word)


def build_speller(counts: Mapping[str, int], known: Collection[str]) -> Speller:
    """Return a speller for the words of `counts` that are long enough."""
    shortened: dict[str, tuple[str, ...]] = {}
    for word in counts:
        if len(word) >= SHORTEST:
            for short in set(without_one_letter(word)):
                shortened[short] = (*shortened.get(short, ()), word)
    return Speller(known, counts, shortened)


def without_one_letter(word: str) -> Iterator[str]:
    """Yield the word without each of its letters."""
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def is_one_typo(left: str, right: str) -> bool:
    """Tell whether one insertion, deletion, replacement or swap of neighbours makes `right` of `left`."""
    if abs(len(left) - len(right)) > 1:
        return False
    start = 0
    shortest = min(len(left), len(right))
    while start < shortest and left[start] == right[start]:
        start += 1
    a, b = left[start:], right[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (len(a) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
