"""What is told to somebody who looks for a gift: what the data calls one, else one question that helps to choose."""

from dataclasses import replace

from llm_service.domain.asking import Act, Asking, Piece
from llm_service.domain.knowledge import product_row
from llm_service.domain.normalise import stem, words
from llm_service.domain.product_answers import categories, products_text
from llm_service.domain.product_texts import product_text
from llm_service.domain.query import content_words
from llm_service.domain.values import Row
from llm_service.domain.wishes import Wish

GIFTS = frozenset(stem(word) for word in ("regalo", "presente", "gift", "obsequio"))


def gifts(asking: Asking) -> list[Row]:
    """Return the products that the data speaks of as gifts, those in stock first."""
    products = asking.knowledge.products
    tagged = [product_row(products[sku]) for sku, stems in asking.knowledge.stems.items() if stems & GIFTS]
    return sorted(tagged, key=lambda row: row.stock == 0)


def beside_gift(asking: Asking, wish: Wish) -> str:
    """Return the words of a wish that say more than that it is a gift, when and for whom."""
    told = asking.voice.wishing.without_gift(wish.rest)
    return " ".join(word for word in content_words(told, asking.knowledge.lexicon) if not word.isdigit())


def gift_ideas(asking: Asking, wish: Wish) -> Piece | None:
    """Return gifts of the data or a question that helps to choose one; None where the wish names a thing."""
    if wish.limits_price or not (wish.asks_gift or asking.awaits_gift) or beside_gift(asking, wish):
        return None
    if asking.awaits_gift:
        asks_else = "?" in wish.rest or set(words(wish.rest)) & asking.knowledge.lexicon.asking
        return None if asks_else else categories(asking)
    tagged = gifts(asking)
    if tagged:
        return _told(asking, tagged)
    if not wish.is_gift:
        return categories(asking)
    return Piece(Act.ANSWER, asking.say("gift_budget" if wish.names_recipient else "gift_question"))


def _told(asking: Asking, rows: list[Row]) -> Piece:
    text, used = products_text(asking, rows, intro="gift_options")
    if len(rows) == 1:
        text = f"{asking.say('gift_options')}\n{product_text(rows[0], asking.voice, asking.language)}"
    return Piece(Act.ANSWER, text, used)


def with_budget(asking: Asking, asked: str) -> Wish:
    """Return the wish of a sentence; an amount alone is a limit after we asked for one."""
    wishing = asking.voice.wishing
    wish = wishing.read(asked)
    if not asking.awaits_budget or wish.limits_price:
        return wish
    limited = wishing.read(wishing.as_limit(asked))
    return replace(limited, is_gift=True) if limited.limits_price else wish
