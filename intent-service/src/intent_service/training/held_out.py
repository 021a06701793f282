"""Keeps the sentences that serve for measuring, and what is nearly the same, out of the phrases to learn from."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.fuzz import ratio

from intent_service.domain.text import fold

FILE_NAME = "held_out.txt"
# From these on two sentences count as the same: shared words of all words, and letters that need no edit (percent).
SAME_WORDS = 0.8
SAME_LETTERS = 90.0
_WORD = re.compile(r"[^\W_]+")


def bare(text: str) -> str:
    """Return the words of `text`, folded, without marks."""
    return " ".join(_WORD.findall(fold(text)))


def digest_of(text: str) -> str:
    """Return what stands for a sentence in the list; the sentence itself is not written there."""
    return hashlib.sha256(bare(text).encode()).hexdigest()[:20]


def read_held_out(data: Path) -> frozenset[str]:
    """Return the digests of all sentences that must not be learned from."""
    lines = (data / FILE_NAME).read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def hold_out(data: Path, texts: Iterable[str]) -> int:
    """Add sentences to the list under `data`; return how many were new."""
    path = data / FILE_NAME
    known = read_held_out(data)
    found = {digest_of(text) for text in texts if bare(text)}
    heading = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    path.write_text("\n".join([*heading, *sorted(known | found)]) + "\n", "utf-8")
    return len(found - known)


def too_near(phrases: Iterable[str], measured: Iterable[str]) -> dict[str, list[str]]:
    """Return for each measured sentence the phrases that are the same or nearly the same, where there are any."""
    learned = list(dict.fromkeys(bare(phrase) for phrase in phrases))
    by_word: dict[str, list[int]] = defaultdict(list)
    for place, phrase in enumerate(learned):
        for word in set(phrase.split()):
            by_word[word].append(place)
    found: dict[str, list[str]] = {}
    for sentence in dict.fromkeys(map(bare, measured)):
        near = {learned[place] for place in _sharing_words(sentence, learned, by_word)}
        matches = process.extract(sentence, learned, scorer=ratio, score_cutoff=SAME_LETTERS, limit=None)
        near.update(match[0] for match in matches)
        if near and sentence:
            found[sentence] = sorted(near)
    return found


def _sharing_words(sentence: str, learned: list[str], by_word: dict[str, list[int]]) -> list[int]:
    words = set(sentence.split())
    shared: dict[int, int] = defaultdict(int)
    for word in words:
        for place in by_word.get(word, ()):
            shared[place] += 1
    return [
        place
        for place, count in shared.items()
        if count / (len(words) + len(set(learned[place].split())) - count) >= SAME_WORDS
    ]
