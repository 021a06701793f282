"""What the business's data says to one sentence of a client."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from llm_service.domain.knowledge import Knowledge, product_row
from llm_service.domain.normalise import fold, stem, words
from llm_service.domain.phrases import clauses, spoken
from llm_service.domain.product_texts import LONGEST_LIST, links_text, list_text, product_text
from llm_service.domain.query import content_words
from llm_service.domain.values import Row
from llm_service.domain.voice import Voice

SURE = 0.85
CLOSE_RANK = 0.6
MOST_DETAILED = 3
LONGEST_FOLLOW_UP = 6


class Act(Enum):
    """What an answer to a sentence is."""

    SOCIAL = "social"
    ANSWER = "answer"
    NOT_FOUND = "not_found"
    NO_DETAIL = "no_detail"
    UNANSWERABLE = "unanswerable"
    UNCLEAR = "unclear"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Piece:
    """The answer to one sentence; `rows` are what it was made from."""

    act: Act
    text: str = ""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks what of whom: the data, the voice, the language, and the products spoken of so far."""

    knowledge: Knowledge
    voice: Voice
    language: str
    context: tuple[Row, ...] = ()
    intent: str = ""


def _close_to_best(rows: Sequence[Row]) -> tuple[Row, ...]:
    best = max((row.score for row in rows), default=0.0)
    rank = max((row.rank for row in rows), default=0.0)
    close = [row for row in rows if row.score >= best * SURE and row.rank >= rank * CLOSE_RANK]
    return tuple(sorted(close, key=lambda row: row.stock == 0)[:LONGEST_LIST])


def _search(asking: Asking, text: str) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    products = _close_to_best(asking.knowledge.find_products(text, LONGEST_LIST * 2))
    faqs = asking.knowledge.find_faqs(text, 1, asking.language)
    if products and products[0].missing and not faqs:
        faqs = asking.knowledge.find_faqs(" ".join(sorted(products[0].missing)), 1, asking.language)
        products = tuple(replace(row, missing=frozenset()) for row in products) if faqs else products
    if not products or not faqs:
        return products, faqs
    by_product, by_faq = products[0].covered, faqs[0].covered
    if by_faq <= by_product and products[0].score >= faqs[0].score:
        return products, ()
    if by_product <= by_faq:
        return (), faqs
    return tuple(replace(row, missing=row.missing - by_faq) for row in products), faqs


def _other_stock(asking: Asking, row: Row) -> tuple[Row, ...]:
    found = asking.knowledge.find_products(row.title, LONGEST_LIST + 1)
    head = stem(words(row.title)[0])
    return tuple(r for r in found if r.id != row.id and r.stock and stem(words(r.title)[0]) == head)[:3]


def _products_text(asking: Asking, rows: Sequence[Row]) -> tuple[str, tuple[Row, ...]]:
    voice, language = asking.voice, asking.language
    is_close = bool(rows[0].missing) and rows[0].score < SURE
    if len(rows) > 1:
        intro = "closest" if is_close else "list_intro"
        return f"{list_text(rows, voice, language, intro)}\n{voice.say('list_question', language)}", tuple(rows)
    told = product_text(rows[0], voice, language)
    if is_close:
        told = f"{voice.say('closest', language)}\n{told}"
    others = _other_stock(asking, rows[0]) if rows[0].stock == 0 else ()
    if others:
        told = f"{told}\n{list_text(others, voice, language, 'alternatives')}"
    return told, (rows[0], *others)


def _faq_text(asking: Asking, row: Row) -> str:
    if row.language and row.language != asking.language:
        return asking.voice.say("other_language", asking.language, answer=row.text)
    return row.text


def _answer(asking: Asking, products: tuple[Row, ...], faqs: tuple[Row, ...]) -> Piece | None:
    texts = [_faq_text(asking, row) for row in faqs]
    used = faqs
    if products:
        text, rows = _products_text(asking, products)
        texts.append(text)
        used = (*used, *rows)
    return Piece(Act.ANSWER, "\n".join(texts), used) if texts else None


def _by_clauses(asking: Asking, sentence: str) -> Piece | None:
    parts = clauses(sentence)
    if len(parts) < 2:
        return None
    found = [_answer(asking, *_search(asking, part)) for part in parts]
    pieces = list({piece.text: piece for piece in found if piece}.values())
    if not pieces:
        return None
    rows = tuple(row for piece in pieces for row in piece.rows)
    return Piece(Act.ANSWER, "\n".join(piece.text for piece in pieces), rows)


def _searched(asking: Asking, sentence: str) -> Piece | None:
    products, faqs = _search(asking, sentence)
    best = max((row.score for row in (*products, *faqs)), default=0.0)
    if best < SURE:
        parted = _by_clauses(asking, sentence)
        if parted:
            return parted
    return _answer(asking, products, faqs)


def _details(asking: Asking, sentence: str, asked: Sequence[str]) -> Piece | None:
    wanted = {stem(word) for word in asked}
    held = {row.id: len(wanted & {stem(word) for word in words(f"{row.title} {row.text}")}) for row in asking.context}
    most = max(held.values(), default=0)
    if most == 0 or _is_about_others(asking, sentence):
        return None
    holding = tuple(row for row in asking.context if held[row.id] == most)
    if 1 < len(holding) <= MOST_DETAILED:
        told = "\n".join(product_text(row, asking.voice, asking.language, with_link=False) for row in holding)
        return Piece(Act.ANSWER, told, holding)
    return Piece(Act.ANSWER, _products_text(asking, holding)[0], holding)


def _is_about_others(asking: Asking, sentence: str) -> bool:
    known = {row.id for row in asking.context}
    found = asking.knowledge.find(sentence, LONGEST_LIST)
    return bool(found) and found[0].score >= SURE and not any(row.id in known for row in found)


def _follow_up(asking: Asking, sentence: str) -> Piece | None:
    asked = content_words(sentence, asking.knowledge.lexicon)
    if not asking.context or len(spoken(sentence)) > LONGEST_FOLLOW_UP + 2:
        return None
    if not asked:
        if not asking.voice.phrases.shops(sentence):
            return None
        return Piece(Act.ANSWER, _products_text(asking, asking.context)[0], asking.context)
    found = _details(asking, sentence, asked)
    if found or not asking.voice.phrases.follows(sentence):
        return found
    if asking.knowledge.find(sentence, 1):
        return None
    name = asking.context[0].title
    return Piece(Act.NO_DETAIL, asking.voice.say("detail_unknown", asking.language, name=name), asking.context[:1])


def _of_context(asking: Asking, kind: str) -> Piece | None:
    if kind == "link" and asking.context:
        text = links_text(asking.context, asking.voice, asking.language)
        return Piece(Act.ANSWER, text, asking.context)
    priced = [row for row in asking.context if row.price is not None and row.stock != 0]
    if kind == "cheapest" and priced:
        cheapest = min(priced, key=lambda row: (row.price or 0, row.id))
        return Piece(Act.ANSWER, product_text(cheapest, asking.voice, asking.language), (cheapest,))
    return None


def _cheapest_found(asking: Asking, sentence: str) -> Piece | None:
    found = [row for row in asking.knowledge.find_products(sentence, 20) if row.price is not None and row.stock != 0]
    if not found:
        return None
    cheapest = min(_all_of_best(found), key=lambda row: (row.price or 0, row.id))
    return Piece(Act.ANSWER, product_text(cheapest, asking.voice, asking.language), (cheapest,))


def _all_of_best(rows: Sequence[Row]) -> list[Row]:
    best = max(row.score for row in rows)
    return [row for row in rows if row.score >= best * SURE]


def _categories(asking: Asking) -> Piece:
    names = list(dict.fromkeys(p.category for p in asking.knowledge.products.values() if p.category))
    if not names:
        return Piece(Act.UNCLEAR)
    told = ", ".join(name.lower() for name in names[:8])
    return Piece(Act.ANSWER, asking.voice.say("categories", asking.language, categories=told))


def _quick(asking: Asking, sentence: str) -> Piece | None:
    folded = f" {' '.join(spoken(sentence))} "
    for phrases, answer in asking.voice.quick:
        if any(f" {' '.join(spoken(phrase))} " in folded for phrase in phrases if spoken(phrase)):
            return Piece(Act.ANSWER, answer)
    return None


def _social(asking: Asking, sentence: str) -> Piece | None:
    phrases, voice = asking.voice.phrases, asking.voice
    if phrases.kind(sentence) == "bot":
        return Piece(Act.ANSWER, voice.say("bot", asking.language))
    if phrases.is_greeting(sentence):
        return Piece(Act.SOCIAL)
    if phrases.is_goodbye(sentence):
        return Piece(Act.SOCIAL, voice.say("goodbye", asking.language))
    if phrases.is_thanks(sentence):
        return Piece(Act.SOCIAL, voice.say("thanks", asking.language))
    if phrases.is_content(sentence):
        return Piece(Act.SOCIAL, voice.say("acknowledged", asking.language))
    if phrases.is_no(sentence):
        return Piece(Act.SOCIAL, voice.say("declined", asking.language))
    return None


def _unanswered(asking: Asking, sentence: str) -> Piece:
    asked = [word for word in content_words(sentence, asking.knowledge.lexicon) if not word.isdigit()]
    if not asked:
        return Piece(Act.NOTHING)
    is_product = asking.intent in ("product_inquiry", "price_inquiry", "availability_inquiry")
    if asking.voice.phrases.shops(sentence) or is_product:
        return Piece(Act.NOT_FOUND)
    asks = "?" in sentence and len(asked) > 1
    return Piece(Act.UNANSWERABLE if asks else Act.UNCLEAR)


def answer_sentence(asking: Asking, sentence: str) -> Piece:
    """Return what the data says to `sentence`; the act tells when it says nothing."""
    kind = asking.voice.phrases.kind(sentence)
    return (
        _quick(asking, sentence)
        or _social(asking, sentence)
        or _of_context(asking, kind)
        or (_cheapest_found(asking, sentence) if kind == "cheapest" else None)
        or (_categories(asking) if kind == "catalogue" else None)
        or _follow_up(asking, sentence)
        or _searched(asking, sentence)
        or _unanswered(asking, sentence)
    )


def products_named(knowledge: Knowledge, text: str) -> tuple[Row, ...]:
    """Return the products that `text` names in full, by name, SKU or link, in the order it names them."""
    folded = fold(text)
    found: list[tuple[int, Row]] = []
    for sku, names in knowledge.folded_names.items():
        places = [place for name in names if (place := folded.find(name)) >= 0]
        if places:
            found.append((min(places), product_row(knowledge.products[sku])))
    return tuple(row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1].id)))
