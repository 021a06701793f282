"""Corrects words that nobody knows and that are one typo away from a word of the training phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from string import ascii_lowercase

SHORTEST = 5
SHORTEST_COMMON = 6
# Words whose correction is remembered: looking for one takes up to 0.2 ms.
KEPT_WORDS = 20_000


class Speller:
    """The words that typos are corrected to, found by what is left of them without one letter.

    Args:
        known: words that are never corrected, with their rank, the most common first; longer typos that no word of
            `counts` explains are corrected to one of them.
        counts: how often each word that can be the correction was seen.
        shortened: for each word with one letter left out, the words that it comes from.
    """

    def __init__(
        self, known: Mapping[str, int], counts: Mapping[str, int], shortened: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._known = known
        self._counts = counts
        self._shortened = shortened
        self._correct = lru_cache(KEPT_WORDS)(self._correction_of)

    def corrected(self, text: str) -> str:
        """Return the normalised text with its unknown words corrected where one typo explains them."""
        words = text.split(" ")
        return " ".join(self._correct(word) if len(word) >= SHORTEST else word for word in words)

    def _correction_of(self, word: str) -> str:
        if word in self._counts or not word.isalpha() or self._is_known(word):
            return word
        candidates = set(self._shortened.get(word, ()))
        for short in without_one_letter(word):
            if short in self._counts:
                candidates.add(short)
            candidates.update(self._shortened.get(short, ()))
        near = [candidate for candidate in candidates if is_one_typo(word, candidate)]
        if near:
            # A letter left out is more common than one too many, and hardly anybody gets the first one wrong.
            return max(
                near, key=lambda found: (found[0] == word[0], len(found) > len(word), self._counts[found], found)
            )
        return self._common(word) if len(word) >= SHORTEST_COMMON else word

    def _is_known(self, word: str) -> bool:
        """Tell whether the word or its singular is common."""
        known = self._known
        return word in known or (word[-1] == "s" and (word[:-1] in known or word.removesuffix("es") in known))

    def _common(self, word: str) -> str:
        near = [candidate for candidate in one_typo_away(word) if candidate in self._known]
        return min(near, key=lambda found: (found[0] != word[0], self._known[found]), default=word)


def build_speller(counts: Mapping[str, int], known: Sequence[str]) -> Speller:
    """Return a speller for the words of `counts` that are long enough; `known` comes most common first."""
    shortened: dict[str, tuple[str, ...]] = {}
    for word in counts:
        if len(word) >= SHORTEST:
            for short in set(without_one_letter(word)):
                shortened[short] = (*shortened.get(short, ()), word)
    return Speller({word: rank for rank, word in enumerate(known)}, counts, shortened)


def without_one_letter(word: str) -> Iterator[str]:
    """Yield the word without each of its letters."""
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def one_typo_away(word: str) -> Iterator[str]:
    """Yield everything that one insertion, deletion, replacement or swap of neighbours makes of a word."""
    for place in range(len(word) + 1):
        left, right = word[:place], word[place:]
        yield from (left + letter + right for letter in ascii_lowercase)
        if right:
            yield left + right[1:]
            yield from (left + letter + right[1:] for letter in ascii_lowercase)
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]


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
