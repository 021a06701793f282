"""Tells how a message sounds by the words that carry feeling and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from intent_service.domain.analysis import Sentiment

_NEUTRAL_WITHIN = 0.2
_NEGATION_REACH = 3


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words that carry feeling.

    Args:
        words: value of each word, -1 to 1.
        negators: words that turn the value of the next ones around.
    """

    words: Mapping[str, float]
    negators: frozenset[str]

    def score(self, text: str, trouble: float) -> float:
        """Return the feeling of a normalised text, -1 (worst) to 1 (best).

        Args:
            text: the normalised text.
            trouble: probability that the message is a complaint, 0 to 1.
        """
        total, last_negator = 0.0, -_NEGATION_REACH - 1
        for place, word in enumerate(text.split(" ")):
            if word in self.negators:
                last_negator = place
            value = self.words.get(word, 0.0)
            total += -0.7 * value if place - last_negator <= _NEGATION_REACH and place != last_negator else value
        total -= trouble if trouble > 0.5 else 0.0
        return max(-1.0, min(1.0, total))


def sentiment_of(score: float) -> Sentiment:
    """Return the name of a feeling."""
    if abs(score) < _NEUTRAL_WITHIN:
        return Sentiment.NEUTRAL
    return Sentiment.POSITIVE if score > 0 else Sentiment.NEGATIVE
