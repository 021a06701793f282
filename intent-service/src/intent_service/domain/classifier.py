"""Joins the n-gram model and the network over sentence vectors into one probability for each intent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from intent_service.domain.network import Network
from intent_service.domain.ngrams import LinearModel


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

    def probabilities(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one row of probabilities for each text.

        Args:
            texts: normalised texts.
            vectors: their sentence vectors.
        """
        linear = log_softmax(self.linear.scores(texts))
        network = log_softmax(self.network.scores(vectors))
        joined = self.linear_share * linear + (1 - self.linear_share) * np.maximum(network, -14)
        sharpened = (joined / self.temperature).astype(np.float32)
        return np.exp(log_softmax(sharpened))


def log_softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of the softmax of each row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
