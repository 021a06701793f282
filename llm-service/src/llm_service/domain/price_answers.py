"""Products within a price limit, the cheapest, the dearest, and what is cheaper than what was told."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from llm_service.domain.asking import Act, Asking, Piece, best_of
from llm_service.domain.gift_answers import beside_gift, gifts
from llm_service.domain.knowledge import kind_of, product_row
from llm_service.domain.normalise import words
from llm_service.domain.product_answers import money, products_text
from llm_service.domain.product_texts import product_text
from llm_service.domain.query import content_words
from llm_service.domain.values import Row
from llm_service.domain.wishes import Order, Wish

MOST_FOUND = 60
BY_PRICE = (Order.CHEAP, Order.CHEAPEST, Order.CHEAPER, Order.DEAREST)
LEAST_LIMIT_SHARE = Decimal("0.5")
SIZES = (
    ("l", "ml", 1000), ("kg", "g", 1000), ("w", "", 1), ("v", "", 1), ("m", "cm", 100), ("cm", "mm", 10), ("mm", "", 1),
    ("in", "", 1), ("pieza", "", 1),
)  # fmt: skip


def plausible(asking: Asking, wish: Wish, sentence: str) -> Wish:
    """Return the wish; without a limit that can be no price of this business, such as `up to 10` of millimetres."""
    if not wish.limits_price:
        return wish
    prices = [product.price for product in asking.knowledge.products.values() if product.price]
    told = max(limit for limit in (wish.lowest, wish.highest) if limit is not None)
    if prices and told >= min(prices) * LEAST_LIMIT_SHARE:
        return wish
    return replace(wish, lowest=None, highest=None, rest=sentence)


def _all(asking: Asking) -> list[Row]:
    return [product_row(product) for product in asking.knowledge.products.values()]


def _of_kind(asking: Asking, rows: Sequence[Row]) -> list[Row]:
    kinds = {kind_of(row.title) for row in rows}
    return [
        product_row(asking.knowledge.products[sku]) for kind in kinds for sku in asking.knowledge.kinds.get(kind, ())
    ]


def _of_category(asking: Asking, rows: Sequence[Row]) -> list[Row]:
    products = asking.knowledge.products
    wanted = {products[row.id].category for row in rows} - {""}
    return [row for row in _all(asking) if products[row.id].category in wanted]


def _asked(asking: Asking, wish: Wish) -> str:
    if wish.is_gift:
        return beside_gift(asking, wish)
    said = [
        word for word in content_words(wish.rest, asking.knowledge.lexicon) if not asking.voice.wishing.is_gift(word)
    ]
    return " ".join(said)


def _pool(asking: Asking, wish: Wish) -> list[Row] | None:
    """Return the products that the limit or the order is about; None where they cannot be told."""
    asked = _asked(asking, wish)
    if asked:
        found = list(asking.knowledge.find_products(asked, MOST_FOUND))
        if not found and wish.is_descriptive:
            return list(asking.knowledge.suggest(wish.rest, MOST_FOUND)) or None
        return best_of(found) or None
    if wish.is_gift:
        return gifts(asking) or _all(asking)
    if asking.context and wish.order is not Order.CHEAP:
        return list(asking.context) if len(asking.context) > 1 else _of_kind(asking, asking.context)
    return _all(asking)


def _cheaper(asking: Asking) -> Piece:
    known = [row.price for row in asking.context if row.price is not None]
    limit = min(known, default=Decimal(0))
    for pool in (_of_kind(asking, asking.context), _of_category(asking, asking.context)):
        found = [row for row in _sellable(pool) if row.price is not None and row.price < limit]
        if found:
            rows = sorted(found, key=lambda row: (-(row.price or 0), row.id))[:3]
            text, used = products_text(asking, rows)
            return Piece(Act.ANSWER, text, used)
    return Piece(Act.ANSWER, asking.say("nothing_cheaper"), asking.context[:1])


def _sellable(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.price is not None and row.stock != 0]


def _none_within(asking: Asking, pool: Sequence[Row], wish: Wish) -> Piece | None:
    priced = _sellable(pool)
    if not priced:
        return None
    nearest = max if wish.highest is None else min
    row = nearest(priced, key=lambda row: (row.price or 0, row.id))
    limit = wish.highest if wish.highest is not None else wish.lowest
    told = asking.say("none_within", limit=money(asking, limit or Decimal(0), row.currency))
    return Piece(Act.ANSWER, f"{told}\n{product_text(row, asking.voice, asking.language)}", (row,))


def priced(asking: Asking, wish: Wish) -> Piece | None:
    """Return the products that fit a price limit or an order by price; None where the wish has neither."""
    if not wish.limits_price and wish.order not in BY_PRICE:
        return None
    if wish.order is Order.CHEAPER and asking.context and not _asked(asking, wish):
        return _cheaper(asking)
    pool = _pool(asking, wish)
    if not pool:
        return None
    fitting = [row for row in _sellable(pool) if wish.allows(row.price)]
    if not fitting and wish.is_gift:
        fitting = [row for row in _sellable(_all(asking)) if wish.allows(row.price)]
    if not fitting:
        return _none_within(asking, pool, wish)
    sign = -1 if wish.order is Order.DEAREST else 1
    rows = sorted(fitting, key=lambda row: (sign * (row.price or 0), row.id))
    rows = [replace(row, missing=frozenset()) for row in rows]
    alone = wish.order in (Order.CHEAPEST, Order.DEAREST)
    text, used = products_text(asking, rows[:1] if alone else rows)
    return Piece(Act.ANSWER, text, used)


def _measure(title: str, unit: str) -> Decimal | None:
    tokens = words(title)
    for number, after in pairwise(tokens):
        if after == unit and number.replace(".", "").isdigit():
            return Decimal(number)
    return None


def _size(title: str, big: str, small: str, factor: int) -> Decimal | None:
    value = _measure(title, big)
    part = _measure(title, small) if value is None and small else None
    return value if part is None else part / factor


def _sizes(rows: Sequence[Row]) -> list[tuple[Decimal, Row]]:
    """Return the rows with their sizes in the first unit that two of them name."""
    for big, small, factor in SIZES:
        found = [(_size(row.title, big, small, factor), row) for row in rows]
        sized = [(value, row) for value, row in found if value is not None]
        if len(sized) > 1:
            return sized
    return []


def by_size(asking: Asking, wish: Wish) -> Piece | None:
    """Return the largest or smallest of the products spoken of, told by the measures in their names."""
    if wish.order not in (Order.LARGEST, Order.SMALLEST) or not asking.context:
        return None
    if _asked(asking, wish):
        return None
    sized = _sizes(asking.context if len(asking.context) > 1 else _of_kind(asking, asking.context))
    if not sized:
        return None
    pick = max if wish.order is Order.LARGEST else min
    _, row = pick(sized, key=lambda pair: (pair[0], pair[1].id))
    text, used = products_text(asking, (row,))
    return Piece(Act.ANSWER, text, used)
