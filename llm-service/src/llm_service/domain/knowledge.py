"""The catalogue and FAQs of one business, searchable."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llm_service.domain.index import Document, Hit, Index, build_index
from llm_service.domain.lexicon import Lexicon
from llm_service.domain.meaning import Encoder, Meanings, build_meanings
from llm_service.domain.normalise import fold, stem, words
from llm_service.domain.values import Faq, Kind, Product, Row

NAME_WEIGHT = 1.0
TAG_WEIGHT = 0.7
TEXT_WEIGHT = 0.3
SIBLING_WEIGHT = 0.6
FAQ_FLOOR = 0.45
OTHER_LANGUAGE = 0.8
# Questions in the language of most of the business's rows are hardly ever meant to be answered by a row of another.
MEANS_THE_SAME_ELSEWHERE = 0.8
WORDS_FLOOR = 0.25
ANSWER_WORDS_FLOOR = 0.44
MEANS_THE_SAME = 0.6
MEANS_NEARLY_THE_SAME = 0.5
WORDS_SHARE = 0.3
PRODUCT_MEANING_FLOOR = 0.27


@dataclass(frozen=True)
class Knowledge:
    """The rows of one business by id, with an index of each kind.

    `folded_names` holds for each SKU its folded name, SKU and link: what a text may name a product by; `stems` holds
    the stems of everything said of it, `kinds` the SKUs by the stem of their name's first word, and `meanings` tells
    rows that share no word with a message; `brands` are the folded capitalised words inside names; `main_language` is
    the language of most questions.
    """

    products: dict[str, Product]
    faqs: dict[str, Faq]
    product_index: Index
    faq_index: Index
    lexicon: Lexicon
    product_stems: frozenset[str]
    faq_stems: frozenset[str]
    folded_names: dict[str, tuple[str, ...]]
    stems: Mapping[str, frozenset[str]]
    kinds: Mapping[str, tuple[str, ...]]
    meanings: Meanings
    brands: frozenset[str]
    main_language: str = ""

    def find_products(self, text: str, limit: int) -> tuple[Row, ...]:
        """Return the products that fit `text`, best first; empty when nothing fits."""
        hits = self.product_index.search(text, limit, elsewhere=self.faq_stems)
        return tuple(product_row(self.products[hit.key], hit) for hit in hits)

    def find_faqs(self, text: str, limit: int, language: str = "", *, shops: bool = False) -> tuple[Row, ...]:
        """Return the questions that fit `text`, best first.

        Args:
            text: the client's words.
            limit: at most so many rows.
            language: answers in it come first; empty means no preference.
            shops: whether the text asks for a product, so that a question has to mean just the same.
        """
        hits = {hit.key: hit for hit in self.faq_index.search(text, limit + 8, FAQ_FLOOR, self.product_stems)}
        near = self.meanings.faqs(text)
        if not near:
            return self._by_words(tuple(hits.values()), limit, language)
        least = MEANS_THE_SAME if shops else MEANS_NEARLY_THE_SAME
        foreign = self._foreign(language)
        told = {
            key: hits.get(key)
            for key, nearness in near.items()
            if (nearness >= least or self._backs(key, hits, near))
            and (key not in foreign or nearness >= MEANS_THE_SAME_ELSEWHERE)
        }
        weighed = {key: (near[key] + WORDS_SHARE * (hit.score if hit else 0)) for key, hit in told.items()}
        best = sorted(told, key=lambda key: -weighed[key] * (self._fit(key, language) if language else 1.0))
        return tuple(_near_row(self.faqs[key], told[key], near[key]) for key in best[:limit])

    def _foreign(self, language: str) -> frozenset[str]:
        """Return the questions of other languages, for somebody who writes in the one that most of them are in."""
        if language != self.main_language:
            return frozenset()
        return frozenset(key for key, faq in self.faqs.items() if faq.language not in ("", language))

    def _backs(self, key: str, hits: Mapping[str, Hit], near: Mapping[str, float]) -> bool:
        """Tell whether a question that shares words with a text is near it in meaning too."""
        if key not in hits:
            return False
        hit = hits[key]
        is_whole = not hit.missing and not hit.covered <= self.lexicon.asking
        return near[key] >= (WORDS_FLOOR if hit.names or is_whole else ANSWER_WORDS_FLOOR)

    def _by_words(self, hits: tuple[Hit, ...], limit: int, language: str) -> tuple[Row, ...]:
        rows = [faq_row(self.faqs[hit.key], hit) for hit in hits]
        if language:
            ranks = {hit.key: hit.rank * self._fit(hit.key, language) for hit in hits}
            rows.sort(key=lambda row: -ranks[row.id])
        return tuple(rows[:limit])

    def suggest(self, text: str, limit: int) -> tuple[Row, ...]:
        """Return the products whose meaning is near that of `text`, though they share no word with it."""
        near = [(sku, score) for sku, score in self.meanings.products(text) if score >= PRODUCT_MEANING_FLOOR]
        return tuple(replace(product_row(self.products[sku]), score=round(score, 4)) for sku, score in near[:limit])

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


def _near_row(faq: Faq, hit: Hit | None, nearness: float) -> Row:
    score = round(min(1.0, max(nearness, hit.score if hit else 0.0)), 4)
    return replace(faq_row(faq, hit), score=score)


def _kinds(products: Sequence[Product]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for product in products:
        found[kind_of(product.name)].append(product.sku)
    return {kind: tuple(skus) for kind, skus in found.items()}


def kind_of(name: str) -> str:
    """Return the stem of the word that names the thing: the first one."""
    return stem(next(iter(words(name)), ""))


def _brands(products: Sequence[Product]) -> frozenset[str]:
    """Return the folded capitalised words inside names, which are mostly brands and models."""
    inner = (word for product in products for word in product.name.split()[1:])
    return frozenset(fold(word) for word in inner if len(word) > 2 and word[0].isupper() and word.isalpha())


def _product_stems(product: Product) -> frozenset[str]:
    told = " ".join((product.name, *product.tags, product.category, product.description))
    return frozenset(stem(word) for word in words(told))


def _main_language(faqs: Sequence[Faq]) -> str:
    """Return the language of most questions; empty when there are none."""
    return next((language for language, _ in Counter(faq.language for faq in faqs).most_common(1)), "")


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


def build_knowledge(
    products: Sequence[Product], faqs: Sequence[Faq], lexicon: Lexicon, encoder: Encoder | None = None
) -> Knowledge:
    """Return the rows of a business, indexed; without an encoder, by their words alone."""
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
        stems={product.sku: _product_stems(product) for product in products},
        kinds=_kinds(products),
        brands=_brands(products),
        meanings=build_meanings(products, faqs, encoder),
        main_language=_main_language(faqs),
    )
