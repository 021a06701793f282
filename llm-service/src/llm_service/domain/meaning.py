"""Which rows mean what a client says, whatever the words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llm_service.domain.values import Faq, Product

ANSWER_WEIGHT = 0.5
MOST_PRODUCTS = 5_000
Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into unit vectors whose angles tell how near their meanings are."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector for each text."""

    def encode_one(self, text: str) -> Vectors:
        """Return the unit vector of one text."""


class Meanings(Protocol):
    """How near the rows of a business are to a text, in meaning."""

    def faqs(self, text: str) -> Mapping[str, float]:
        """Return how near each question is, by its id; empty where meanings are not compared."""

    def products(self, text: str) -> Sequence[tuple[str, float]]:
        """Return SKUs with how near each is, the nearest first; empty where meanings are not compared."""


class NoMeanings:
    """The search by words alone."""

    def faqs(self, text: str) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def products(self, text: str) -> Sequence[tuple[str, float]]:
        """Return nothing."""
        return ()


@dataclass(frozen=True)
class VectorMeanings:
    """Meanings by vectors: of each way to ask a question, of its answer, and of each product.

    `owners` names for each row of `questions` the place of its FAQ in `faq_ids`.
    """

    encoder: Encoder
    faq_ids: tuple[str, ...]
    owners: NDArray[np.intp]
    questions: Vectors
    answers: Vectors
    skus: tuple[str, ...]
    goods: Vectors

    def faqs(self, text: str) -> Mapping[str, float]:
        """Return for each question its nearest wording's cosine plus half the answer's."""
        if not self.faq_ids:
            return {}
        vector = self.encoder.encode_one(text)
        best = np.full(len(self.faq_ids), -1.0, dtype=np.float32)
        np.maximum.at(best, self.owners, self.questions @ vector)
        total = best + ANSWER_WEIGHT * (self.answers @ vector)
        return dict(zip(self.faq_ids, (float(score) for score in total), strict=True))

    def products(self, text: str) -> Sequence[tuple[str, float]]:
        """Return the ten nearest products with their cosines."""
        if not self.skus:
            return ()
        near = self.goods @ self.encoder.encode_one(text)
        return [(self.skus[at], float(near[at])) for at in np.argsort(-near)[:10]]


def _product_text(product: Product) -> str:
    return ". ".join(part for part in (product.name, product.description, product.category) if part)


def build_meanings(products: Sequence[Product], faqs: Sequence[Faq], encoder: Encoder | None) -> Meanings:
    """Return the meanings of a business's rows; without an encoder, those of the search by words alone.

    Very large catalogues are searched by words alone: their vectors would cost more than they bring.
    """
    if encoder is None:
        return NoMeanings()
    asked = [(place, text) for place, faq in enumerate(faqs) for text in (faq.question, *faq.alternatives)]
    told = products if len(products) <= MOST_PRODUCTS else ()
    nothing = np.zeros((0, 0), dtype=np.float32)
    return VectorMeanings(
        encoder=encoder,
        faq_ids=tuple(faq.id for faq in faqs),
        owners=np.array([place for place, _ in asked], dtype=np.intp),
        questions=encoder.encode([text for _, text in asked]) if asked else nothing,
        answers=encoder.encode([faq.answer for faq in faqs]) if faqs else nothing,
        skus=tuple(product.sku for product in told),
        goods=encoder.encode([_product_text(product) for product in told]) if told else nothing,
    )
