"""Tells Spanish, Portuguese and English apart by the words of a short message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNKNOWN = "und"
_MARKS = {"es": "ñ¿¡", "pt": "ãõçâêô"}
_MARK_WEIGHT = 3.0
_LEAST_MARGIN = 0.7
_LEAST_KNOWN = 0.34


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """How likely each word is in each language.

    Args:
        languages: ISO 639-1 codes, in the order of the scores.
        words: for each word its log-likelihood in each language.
    """

    languages: tuple[str, ...]
    words: Mapping[str, tuple[float, ...]]

    def detect(self, text: str, words: str) -> str:
        """Return the language of a message, or `und`.

        Args:
            text: the message as it was written.
            words: the same, normalised.
        """
        tokens = [word for word in words.split(" ") if word.isalpha() and not word.startswith("emoji")]
        known = [self.words[word] for word in tokens if word in self.words]
        scores = [sum(column) for column in zip(*known, strict=True)] if known else [0.0] * len(self.languages)
        lowered = text.lower()
        for place, language in enumerate(self.languages):
            scores[place] += _MARK_WEIGHT * sum(lowered.count(mark) > 0 for mark in _MARKS.get(language, ""))
        ordered = sorted(scores, reverse=True)
        if ordered[0] - ordered[1] < _LEAST_MARGIN or (tokens and len(known) < _LEAST_KNOWN * len(tokens)):
            return UNKNOWN
        return self.languages[scores.index(ordered[0])]
