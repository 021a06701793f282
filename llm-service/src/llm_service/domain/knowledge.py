"""The catalogue and FAQs of one business, searchable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_service.domain.index import Document, Hit, Index, build_index
from llm_service.domain.lexicon import Lexicon
from llm_service.domain.normalise import fold
from llm_service.domain.values import Faq, Kind, Product, Row

NAME_WEIGHT = 1.0
TAG_WEIGHT = 0.7
TEXT_WEIGHT = 0.3
SIBLING_WEIGHT = 0.6
FAQ_FLOOR = 0.45
OTHER_LANGUAGE = 0.8


@dataclass(frozen=True)
class Knowledge:
    """The rows of one business by id, with an index of each kind.

    `folded_names` holds for each SKU its folded name, SKU and link: what a text may name a product by.
    """

    products: dict[str, Product]
    faqs: dict[str, Faq]
    product_index: Index
    faq_index: Index
    lexicon: Lexicon
    product_stems: frozenset[str]
    faq_stems: frozenset[str]
    folded_names: dict[str, tuple[str, ...]]

    def find_products(self, text: str, limit: int) -> tuple[Row, ...]:
        """Return the products that fit `text`, best first; empty when nothing fits."""
        hits = self.product_index.search(text, limit, elsewhere=self.faq_stems)
        return tuple(product_row(self.products[hit.key], hit) for hit in hits)

    def find_faqs(self, text: str, limit: int, language: str = "") -> tuple[Row, ...]:
        """Return the questions that fit `text`, best first.

        Args:
            text: the client's words.
            limit: at most so many rows.
            language: answers in it come first; empty means no preference.
        """
        hits = self.faq_index.search(text, limit * 2, FAQ_FLOOR, self.product_stems)
        rows = [faq_row(self.faqs[hit.key], hit) for hit in hits]
        if language:
            ranks = {hit.key: hit.rank * self._fit(hit.key, language) for hit in hits}
            rows.sort(key=lambda row: -ranks[row.id])
        return tuple(rows[:limit])

    def _fit(self, key: str, language: str) -> float:
        return 1.0 if self.faqs[key].language == language else OTHER_LANGUAGE

    def find(self, text: str, limit: int, kind: Kind | None = None, language: str = "") -> tuple[Row, ...]:
        """Return the rows of one kind, or of both, that fit `text`, best first."""
        products = self.find_products(text, limit) if kind in (None, Kind.PRODUCT) else ()
        faqs = self.find_faqs(text, limit, language) if kind in (None, Kind.FAQ) else ()
        return tuple(sorted((*products, *faqs), key=lambda row: -row.score)[:limit])


def _found(row: Row, hit: Hit) -> Row:
    return replace(row, score=hit.score, covered=hit.covered, missing=hit.missing, rank=hit.rank)


def product_row(product: Product, hit: Hit | None = None) -> Row:
    """Return a product as a row, with the score of the hit that found it."""
    row = Row(
        kind=Kind.PRODUCT,
        id=product.sku,
        title=product.name,
        text=product.description,
        score=1.0,
        price=product.price,
        currency=product.currency,
        stock=product.stock,
        url=product.url,
    )
    return _found(row, hit) if hit else row


def faq_row(faq: Faq, hit: Hit | None = None) -> Row:
    """Return a question as a row, with the score of the hit that found it."""
    row = Row(kind=Kind.FAQ, id=faq.id, title=faq.question, text=faq.answer, score=1.0, language=faq.language)
    return _found(row, hit) if hit else row


def _product_document(product: Product) -> Document:
    tags = " ".join((*product.tags, product.category))
    fields = ((product.name, NAME_WEIGHT), (tags, TAG_WEIGHT), (product.description, TEXT_WEIGHT))
    return Document(product.sku, fields, product.sku)


def _faq_documents(faq: Faq) -> list[Document]:
    phrases = (faq.question, *faq.alternatives)
    everything = " ".join(phrases)
    return [
        Document(faq.id, ((phrase, NAME_WEIGHT), (everything, SIBLING_WEIGHT), (faq.answer, TEXT_WEIGHT)))
        for phrase in phrases
    ]


def build_knowledge(products: Sequence[Product], faqs: Sequence[Faq], lexicon: Lexicon) -> Knowledge:
    """Return the rows of a business, indexed."""
    product_index = build_index([_product_document(product) for product in products], lexicon)
    faq_index = build_index([doc for faq in faqs for doc in _faq_documents(faq)], lexicon, asks=True)
    return Knowledge(
        products={product.sku: product for product in products},
        faqs={faq.id: faq for faq in faqs},
        product_index=product_index,
        faq_index=faq_index,
        lexicon=lexicon,
        product_stems=product_index.named_stems(),
        faq_stems=faq_index.named_stems(),
        folded_names={p.sku: tuple(fold(part) for part in (p.name, p.sku, p.url) if part) for p in products},
    )
