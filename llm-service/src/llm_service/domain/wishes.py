"""What a client wants of products beside their names: a price limit, an order, a quantity, instalments, refusals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from llm_service.domain.normalise import fold

_SCALE = {"k": 1_000, "mil": 1_000, "luca": 1_000, "lucas": 1_000, "palo": 1_000_000, "palos": 1_000_000}
MOST_COUNTED = 50
_BLANKS = re.compile(r"\s+")
_AMOUNT_START = re.compile(r"(?:\$\s*)?\d")


class Order(Enum):
    """Which of the fitting products come first."""

    FITTING = "fitting"
    CHEAP = "cheap"
    CHEAPEST = "cheapest"
    CHEAPER = "cheaper"
    DEAREST = "dearest"
    LARGEST = "largest"
    SMALLEST = "smallest"


class Together(Enum):
    """Which of the products spoken of are asked for in one sum."""

    NONE = "none"
    TWO = "two"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sentence wants; `rest` is the sentence without what is told here.

    `lowest` and `highest` are price limits; `count` is a quantity with the noun that it counts (`of`, empty where
    none is said) and `uncounted` the rest without the number; `instalments` is a number of payments; `together` asks
    for the sum of products spoken of; `asks_gift` asks for something to give, `is_gift` speaks of a gift at all.
    """

    rest: str
    lowest: Decimal | None = None
    highest: Decimal | None = None
    order: Order = Order.FITTING
    count: int = 0
    of: str = ""
    uncounted: str = ""
    instalments: int = 0
    together: Together = Together.NONE
    is_gift: bool = False
    asks_gift: bool = False
    names_recipient: bool = False
    is_descriptive: bool = False
    asks_price: bool = False
    asks_details: bool = False
    asks_total: bool = False

    @property
    def limits_price(self) -> bool:
        """Whether a price limit was said."""
        return self.lowest is not None or self.highest is not None

    def allows(self, price: Decimal | None) -> bool:
        """Tell whether a price is within the limits; an unknown one is within none."""
        if price is None:
            return not self.limits_price
        return (self.lowest is None or price >= self.lowest) and (self.highest is None or price <= self.highest)


@dataclass(frozen=True)
class Wishing:
    """The patterns of wishes, from a data file."""

    patterns: Mapping[str, re.Pattern[str]]
    counts: Mapping[str, int]
    things: frozenset[str]
    clients: frozenset[str]
    measures: tuple[tuple[re.Pattern[str], str], ...]

    def read(self, sentence: str) -> Wish:
        """Return what a sentence wants."""
        folded = self._measured(fold(sentence))
        wish = self._limited(self._kept(folded))
        wish = self._ordered(wish)
        wish = self._instalments(wish)
        return self._counted(wish) if not wish.instalments else wish

    def is_gift(self, word: str) -> bool:
        """Tell whether a word speaks of a gift, whatever is given."""
        return self._has("gift", word) or self._has("descriptive", word)

    def without_gift(self, text: str) -> str:
        """Return the text without what says that something is a gift, when it is given and to whom."""
        for name in ("occasion", "recipient", "gift", "gift_asked", "descriptive"):
            text = self.patterns[name].sub(" ", text)
        return _BLANKS.sub(" ", text).strip()

    def as_limit(self, text: str) -> str:
        """Return a text that names one amount and nothing to buy as a price limit; others as they are."""
        folded = fold(text)
        if not self._has("bare_amount", folded):
            return text
        return _AMOUNT_START.sub(r"hasta \g<0>", folded, count=1)

    def _measured(self, text: str) -> str:
        for pattern, written in self.measures:
            text = pattern.sub(written, text)
        return text

    def _has(self, name: str, text: str) -> bool:
        return bool(self.patterns[name].search(text))

    def _kept(self, text: str) -> str:
        """Return the text without what is refused; empty when all of it is."""
        for name in ("refused", "refused_first"):
            if self._has(name, text):
                text = _BLANKS.sub(" ", self.patterns[name].sub(" ", text)).strip(" ,.;")
        return text

    def _limited(self, text: str) -> Wish:
        between = self.patterns["between"].search(text)
        if between:
            low, high = self._amount(between, "1"), self._amount(between, "2")
            scale_of_high = between["S2"]
            if scale_of_high and not between["S1"] and low < high:
                low *= _SCALE[scale_of_high]
            return Wish(self._without(text, between), lowest=low, highest=high)
        below = self.patterns["below"].search(text)
        if below:
            return Wish(self._without(text, below), highest=self._amount(below, "1"))
        above = self.patterns["above"].search(text)
        if above:
            return Wish(self._without(text, above), lowest=self._amount(above, "1"))
        return Wish(text)

    @staticmethod
    def _amount(match: re.Match[str], place: str) -> Decimal:
        written, scale = match[f"N{place}"], match[f"S{place}"]
        if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", written):
            written = re.sub(r"[.,]", "", written)
        return Decimal(written.replace(",", ".")) * _SCALE.get(scale or "", 1)

    @staticmethod
    def _without(text: str, match: re.Match[str]) -> str:
        return _BLANKS.sub(" ", f"{text[: match.start()]} {text[match.end() :]}").strip()

    def _ordered(self, wish: Wish) -> Wish:
        text = wish.rest
        found = (Order.FITTING, "")
        for order, name in (
            (Order.CHEAPEST, "cheapest"),
            (Order.DEAREST, "dearest"),
            (Order.CHEAP, "cheap"),
            (Order.LARGEST, "largest"),
            (Order.SMALLEST, "smallest"),
        ):
            if self._has(name, text):
                found = (order, name)
                break
        order, name = found
        if order is Order.CHEAPEST and self._has("comparative", text):
            order = Order.CHEAPER
        return replace(
            wish,
            rest=_BLANKS.sub(" ", self.patterns[name].sub(" ", text)).strip() if name else text,
            order=order,
            is_gift=self._has("gift", text) or self._has("occasion", text),
            asks_gift=self._has("gift_asked", text)
            and any(self._has(name, text) for name in ("gift", "occasion", "recipient")),
            names_recipient=self._has("recipient", text),
            is_descriptive=self._has("descriptive", text),
            asks_price=self._has("price_asked", text),
            asks_details=self._has("details", text),
            asks_total=self._has("total_asked", text),
            together=self._together(text),
        )

    def _together(self, text: str) -> Together:
        if self._has("all_of_two", text):
            return Together.TWO
        return Together.ALL if self._has("all_of_them", text) else Together.NONE

    def _instalments(self, wish: Wish) -> Wish:
        match = self.patterns["instalments"].search(wish.rest)
        return replace(wish, instalments=int(match["count"])) if match else wish

    def _counted(self, wish: Wish) -> Wish:
        for name in ("count_words", "counted_before"):
            match = self.patterns[name].search(wish.rest)
            if match:
                count = self.counts.get(match["count"]) or int(match["count"])
                noun = match["noun"] if name == "count_words" else ""
                start, end = match.span("count")
                uncounted = _BLANKS.sub(" ", f"{wish.rest[:start]} {wish.rest[end:]}").strip()
                return replace(wish, count=count if 1 < count <= MOST_COUNTED else 0, of=noun, uncounted=uncounted)
        return wish


def build_wishing(data: Mapping[str, Any]) -> Wishing:
    """Return the patterns of a data file; a malformed one raises `re.error` at start."""
    plain = {name: str(value) for name, value in data.items() if isinstance(value, str)}
    first = plain["number"].replace("<N>", "<N1>").replace("<S>", "<S1>")
    second = plain["number"].replace("<N>", "<N2>").replace("<S>", "<S2>")
    tail = plain["currency"] + plain["not_money"]
    end = r"(?![\d.,]*\d)" + tail
    patterns = {
        **plain,
        "below": plain["below"] + first + end,
        "above": plain["above"] + first + end,
        "between": plain["between"] + first + plain["between_and"] + second + end,
    }
    return Wishing(
        patterns={name: re.compile(pattern) for name, pattern in patterns.items()},
        counts=data["counts"],
        things=frozenset(data["nouns"]["things"].split()),
        clients=frozenset(data["nouns"]["clients"].split()),
        measures=tuple((re.compile(pattern), written) for pattern, written in data["measures"].items()),
    )
