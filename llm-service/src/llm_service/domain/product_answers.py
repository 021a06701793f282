"""What is told of products: one with its quantity, several as a list, and what to take where one is out of stock."""

from collections.abc import Sequence
from decimal import Decimal

from llm_service.domain.asking import SURE, Act, Asking, Piece
from llm_service.domain.knowledge import kind_of, product_row
from llm_service.domain.normalise import stem, words
from llm_service.domain.product_texts import LONGEST_LIST, list_text, product_text
from llm_service.domain.values import Row
from llm_service.domain.wishes import Wish
from llm_service.domain.wording import format_money

CENT = Decimal("0.01")
MOST_DETAILED = 3
MOST_CATEGORIES = 8
Told = tuple[str, tuple[Row, ...]]


def money(asking: Asking, amount: Decimal, currency: str) -> str:
    """Return an amount as the client reads it."""
    return format_money(amount, currency, asking.language, asking.voice.country)


def _other_stock(asking: Asking, row: Row) -> tuple[Row, ...]:
    found = asking.knowledge.find_products(row.title, LONGEST_LIST + 1)
    head = kind_of(row.title)
    return tuple(r for r in found if r.id != row.id and r.stock and kind_of(r.title) == head)[:3]


def _counts(asking: Asking, wish: Wish, row: Row) -> bool:
    """Tell whether the number of a wish counts this product, rather than being part of its name."""
    if not wish.count or row.price is None or str(wish.count) in words(row.title):
        return False
    wishing = asking.voice.wishing
    if wish.of in wishing.clients:
        return row.stock is None
    return not wish.of or wish.of in wishing.things or stem(wish.of) in asking.knowledge.stems[row.id]


def quantity_text(asking: Asking, wish: Wish, row: Row) -> str:
    """Return what so many of a product cost, and the stock where it is too small; empty where no number is told."""
    if not _counts(asking, wish, row) or row.price is None:
        return ""
    told = asking.say("quantity", count=str(wish.count), total=money(asking, row.price * wish.count, row.currency))
    if row.stock and row.stock < wish.count:
        return f"{told} {asking.say('too_few', stock=str(row.stock))}"
    return told


def instalments_text(asking: Asking, wish: Wish, row: Row) -> str:
    """Return what one instalment of a product is; empty where the business does not offer so many."""
    most = asking.voice.max_installments
    if not 1 < wish.instalments <= most or row.price is None:
        return ""
    each = (row.price / wish.instalments).quantize(CENT)
    return asking.say(
        "instalments",
        count=str(wish.instalments),
        amount=money(asking, each, row.currency),
        price=money(asking, row.price, row.currency),
        name=row.title,
    )


def _one(asking: Asking, row: Row, wish: Wish | None, *, is_close: bool) -> Told:
    told = product_text(row, asking.voice, asking.language)
    extra = quantity_text(asking, wish, row) if wish else ""
    if extra:
        first, *link = told.split("\n")
        told = "\n".join((first, extra, *link))
    if is_close:
        told = f"{asking.say('closest')}\n{told}"
    others = _other_stock(asking, row) if row.stock == 0 else ()
    if others:
        told = f"{told}\n{list_text(others, asking.voice, asking.language, 'alternatives')}"
    return told, (row, *others)


def products_text(asking: Asking, rows: Sequence[Row], wish: Wish | None = None, intro: str = "") -> Told:
    """Return one product in full or several as a short list, with the rows that are named."""
    is_close = bool(rows[0].missing) and rows[0].score < SURE
    if len(rows) == 1:
        return _one(asking, rows[0], wish, is_close=is_close or intro == "closest")
    if wish and wish.asks_details and len(rows) <= MOST_DETAILED:
        each = [product_text(row, asking.voice, asking.language, with_link=False) for row in rows]
        return "\n".join(each), tuple(rows)
    shown = tuple(rows[:LONGEST_LIST])
    intro = intro or ("closest" if is_close else "list_intro")
    told = list_text(shown, asking.voice, asking.language, intro)
    return f"{told}\n{asking.say('list_question')}", shown


def sum_text(asking: Asking, rows: Sequence[Row]) -> str:
    """Return what several products cost together; empty where a price is unknown or currencies differ."""
    prices = [row.price for row in rows if row.price is not None]
    if len(prices) < 2 or len(prices) < len(rows) or len({row.currency for row in rows}) > 1:
        return ""
    items = " + ".join(money(asking, price, rows[0].currency) for price in prices)
    return asking.say("sum", total=money(asking, sum(prices, Decimal(0)), rows[0].currency), items=items)


def categories(asking: Asking) -> Piece:
    """Return the kinds of things that are sold, or some of them where the data has no kinds."""
    names = list(dict.fromkeys(p.category for p in asking.knowledge.products.values() if p.category))
    if not names:
        rows = [product_row(product) for product in list(asking.knowledge.products.values())[:LONGEST_LIST]]
        if not rows:
            return Piece(Act.UNCLEAR)
        text, used = products_text(asking, rows, intro="some_of_ours")
        return Piece(Act.ANSWER, text, used)
    told = ", ".join(name.lower() for name in names[:MOST_CATEGORIES])
    return Piece(Act.ANSWER, asking.say("categories", categories=told))
