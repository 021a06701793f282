"""Joins the n-gram model and the network over sentence vectors into one probability for each intent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intent_service.domain.network import Network
from intent_service.domain.ngrams import LinearModel

# From this probability on the n-gram model decides alone: the sentence vectors would change one in 200 or fewer.
SURE = 0.85


class Encoder(Protocol):
    """Makes sentence vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text."""
        ...


@dataclass(frozen=True, slots=True)
class Classifier:
    """Probabilities of the classes of a normalised text.

    Args:
        classes: names of the classes, in the order of the probabilities.
        linear: the n-gram model.
        network: the network over sentence vectors.
        linear_share: weight of the n-gram model, 0 to 1.
        temperature: above 1 makes the probabilities more even.
    """

    classes: tuple[str, ...]
    linear: LinearModel
    network: Network
    linear_share: float
    temperature: float

    def by_grams(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row of log-probabilities by the n-gram model alone for each normalised text."""
        return log_softmax(self.linear.scores(texts))

    def is_sure(self, by_grams: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell of each row whether the n-gram model needs no second opinion."""
        sure: NDArray[np.bool_] = by_grams.max(axis=1) >= np.log(SURE)
        return sure

    def probabilities(self, by_grams: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one row of probabilities for each text.

        Args:
            by_grams: what `by_grams` returned.
            vectors: the sentence vectors of the texts; those of sure ones do not count.
        """
        joined = by_grams.copy()
        unsure = np.flatnonzero(~self.is_sure(by_grams))
        if len(unsure):
            network = np.maximum(log_softmax(self.network.scores(vectors[unsure])), -14)
            joined[unsure] = self.linear_share * by_grams[unsure] + (1 - self.linear_share) * network
        return np.exp(log_softmax((joined / self.temperature).astype(np.float32)))


def log_softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of the softmax of each row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
