"""How products are told to a client, from their rows alone."""

from collections.abc import Sequence

from llm_service.domain.values import Row
from llm_service.domain.voice import Voice
from llm_service.domain.wording import format_money

FEW_LEFT = 3
LONGEST_LIST = 5


def _stock_text(row: Row, voice: Voice, language: str) -> str:
    if row.stock is None:
        return ""
    if row.stock == 0:
        return voice.say("out_of_stock", language)
    if row.stock == 1:
        return voice.say("one_left", language)
    name = "few_left" if row.stock <= FEW_LEFT else "in_stock"
    return voice.say(name, language, stock=str(row.stock))


def product_text(row: Row, voice: Voice, language: str, *, with_link: bool = True) -> str:
    """Return one product: name, price, stock, description, and its link on a line of its own."""
    if row.price is None:
        first = voice.say("product_without_price", language, name=row.title)
    else:
        price = format_money(row.price, row.currency, language, voice.country)
        first = voice.say("product", language, name=row.title, price=price)
    description = row.text if language == voice.language else ""
    told = " ".join(part for part in (first, _stock_text(row, voice, language), description) if part)
    return f"{told}\n{row.url}" if row.url and with_link else told


def _item(row: Row, voice: Voice, language: str) -> str:
    if row.price is None:
        item = voice.say("list_item_without_price", language, name=row.title)
    else:
        price = format_money(row.price, row.currency, language, voice.country)
        item = voice.say("list_item", language, name=row.title, price=price)
    return item + (voice.say("list_out_of_stock", language) if row.stock == 0 else "")


def list_text(rows: Sequence[Row], voice: Voice, language: str, intro: str = "list_intro") -> str:
    """Return several products as a short list, a line each."""
    items = [_item(row, voice, language) for row in rows[:LONGEST_LIST]]
    return "\n".join([voice.say(intro, language), *items])


def links_text(rows: Sequence[Row], voice: Voice, language: str) -> str:
    """Return the links of products, a line each; says so where there is none."""
    links = [row.url for row in rows if row.url]
    return "\n".join(links) if links else voice.say("link_unknown", language)
