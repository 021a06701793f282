"""Amounts of money, percentages and instalments as people write them in chats."""

import re
from dataclasses import dataclass
from decimal import Decimal

from llm_service.domain.guards.number_words import worded_amounts
from llm_service.domain.normalise import fold
from llm_service.domain.plain_text import URL

_NUMBER = r"\d{1,3}(?:[.,\s]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)"
_SIGN = r"u\$s|us\$|r\$|\$u|ar\$|\$|€|\busd|\bars|\bbrl|\beur"
_WORD = r"pesos?|dolar(?:es)?|dollars?|reais|euros?|usd|ars|brl|eur|mangos?|€|\$(?!\s*\d)"
_SCALE = r"mil(?:lones|lon)?|lucas?|k|palos?|thousand|million"
_UNITS = (
    r"(?:ml|l|lts?|litros?|g|gr|grs|gramos?|kg|kilos?|cm|mm|m|mts?|metros?|m2|w|watts?|v|hz|rpm|mah|btu|hs?|horas?|"
    r"dias?|anos?|meses|semanas?|minutos?|min|grados?|unidades|u|piezas?|hilos|plazas?|velocidades|pulgadas|personas|"
    r"clientes|productos|opiniones|seguidores|veces|km|bares?|hours?|days?|units?|pieces?|dias?|unidade)\b"
)
_PRICE_WORD = (
    r"\b(?:sale|salen|cuesta|cuestan|vale|valen|precio(?:\s+(?:es|de|final))*|queda(?:ria)? en|custa|custam|preco|"
    r"costs?|price(?:\s+is)?|total|por solo|a solo)\s*(?:es|de|:|en|a)?\s*"
)
_MONEY = re.compile(
    rf"(?P<sign>{_SIGN})\s*(?P<signed>{_NUMBER})\s*(?P<signed_scale>(?:{_SCALE})\b)?"
    rf"|(?P<worded>{_NUMBER})\s*(?P<worded_scale>(?:{_SCALE})\b)?\s*(?:de\s+)?(?P<word>{_WORD})(?![a-z])"
    rf"|(?P<scaled>{_NUMBER})\s*(?P<scale>(?:{_SCALE})\b)(?!\s*{_UNITS})"
    rf"|{_PRICE_WORD}(?P<priced>\d{{4,}}(?:[.,]\d{{1,2}})?)(?!\s*{_UNITS})(?!\d)"
    rf"|(?<![\d.,#/-])(?P<grouped>\d{{1,3}}(?:[.,]\d{{3}})+(?:[.,]\d{{1,2}})?)(?![\d/-])(?!\s*{_UNITS})"
)
_PERCENT = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s*(?:%|por ciento|por cento|percent)")
_INSTALMENTS = re.compile(
    r"\b(\d{1,2})\s*(?:cuotas?|pagos?|parcelas?|x\s+de|vezes|(?:\w+-free\s+)?(?:\w+\s+)?instal?lments?|payments?)\b"
)
_CURRENCY = {
    "u$s": "USD", "us$": "USD", "usd": "USD", "dolar": "USD", "dolares": "USD", "dollar": "USD", "dollars": "USD",
    "r$": "BRL", "brl": "BRL", "reais": "BRL", "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR",
    "ars": "ARS", "ar$": "ARS", "$u": "UYU",
}  # fmt: skip
_FACTOR = {"k": 1_000, "mil": 1_000, "luca": 1_000, "lucas": 1_000, "thousand": 1_000}
_MILLION = 1_000_000
_RESOLUTIONS = frozenset({"2", "4", "8"})


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as written; `currency` is empty where the text leaves it open."""

    value: Decimal
    currency: str
    written: str


def to_decimal(written: str) -> Decimal:
    """Return a number written with points, commas or blanks: three digits after the last sign make it a group."""
    compact = re.sub(r"\s", ".", written.strip())
    parts = re.split(r"[.,]", compact)
    if len(parts) == 1:
        return Decimal(compact)
    if len(parts[-1]) == 3:
        return Decimal("".join(parts))
    return Decimal(f"{''.join(parts[:-1])}.{parts[-1]}")


def _scaled(number: str, scale: str | None) -> Decimal:
    value = to_decimal(number)
    if not scale:
        return value
    return value * _FACTOR.get(scale, _MILLION)


def _amount(match: re.Match[str]) -> Amount | None:
    found = match.groupdict()
    if found["signed"]:
        return Amount(_scaled(found["signed"], found["signed_scale"]), _CURRENCY.get(found["sign"], ""), match[0])
    if found["worded"]:
        return Amount(_scaled(found["worded"], found["worded_scale"]), _CURRENCY.get(found["word"], ""), match[0])
    if found["scaled"]:
        if found["scale"] == "k" and found["scaled"] in _RESOLUTIONS:
            return None
        return Amount(_scaled(found["scaled"], found["scale"]), "", match[0])
    return Amount(to_decimal(found["priced"] or found["grouped"]), "", match[0])


def _readable(text: str) -> str:
    return URL.sub(" ", fold(text).replace("\xa0", " "))


def amounts(text: str) -> tuple[Amount, ...]:
    """Return what looks like money in `text`; units, hours, sizes, phones, dates and SKUs are not money."""
    readable = _readable(text)
    found = (_amount(match) for match in _MONEY.finditer(readable))
    worded = (Amount(value, "", written) for value, written in worded_amounts(readable))
    return (*(amount for amount in found if amount), *worded)


def percentages(text: str) -> frozenset[Decimal]:
    """Return the percentages in `text`."""
    return frozenset(Decimal(match[1].replace(",", ".")) for match in _PERCENT.finditer(fold(text)))


def instalments(text: str) -> frozenset[int]:
    """Return the numbers of instalments in `text`."""
    return frozenset(int(match[1]) for match in _INSTALMENTS.finditer(fold(text)))
