"""A small neural network over sentence vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer of rectified units.

    Args:
        hidden: weights from the sentence vector to the hidden layer.
        hidden_bias: one value for each hidden unit.
        output: weights from the hidden layer to the classes.
        output_bias: one value for each class.
    """

    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output: NDArray[np.float32]
    output_bias: NDArray[np.float32]

    def scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one row of class scores for each row of `vectors`."""
        scores: NDArray[np.float32] = np.maximum(vectors @ self.hidden + self.hidden_bias, 0) @ self.output
        return scores + self.output_bias
