"""One form for words, alike for what is stored and what is asked."""

import re
import unicodedata
from functools import lru_cache

_MARKS = re.compile(r"[\u0300-\u036f]")
_WORD = re.compile(r"[a-z]+|\d/\d(?!\d)|\d+(?:\.\d+)?")
_SHORT_CODE = re.compile(r"\b[a-z]{1,2}\d{1,3}\b")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_NOT_CODE = re.compile(r"[^a-z0-9]")

UNITS = {
    "litro": "l", "litros": "l", "lt": "l", "lts": "l", "kilo": "kg", "kilos": "kg", "kgs": "kg", "gramos": "g",
    "gramo": "g", "gr": "g", "grs": "g", "centimetro": "cm", "centimetros": "cm", "cms": "cm", "metro": "m",
    "metros": "m", "mts": "m", "mt": "m", "watt": "w", "watts": "w", "vatios": "w", "pulgada": "in",
    "pulgadas": "in", "plazas": "plaza", "piezas": "pieza", "pcs": "pieza", "mililitros": "ml",
}  # fmt: skip


def fold(text: str) -> str:
    """Return `text` in lower case without accents (ñ becomes n)."""
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def words(text: str) -> tuple[str, ...]:
    """Return the words of `text`: folded, numbers apart from letters, decimals with a point, units in one form.

    Short codes such as `M8` are there once more as one word.
    """
    folded = _DECIMAL_COMMA.sub(".", fold(text))
    found = [UNITS.get(word, word) for word in _WORD.findall(folded)]
    return (*found, *_SHORT_CODE.findall(folded))


def code(text: str) -> str:
    """Return a SKU or what may be one without case, accents and punctuation."""
    return _NOT_CODE.sub("", fold(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return the part that singular, plural and gender of a Spanish, Portuguese or English noun share."""
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith("ces"):
        word = f"{word[:-3]}z"
    elif word.endswith(("oes", "aes")):
        word = f"{word[:-3]}ao"
    elif word.endswith("s"):
        word = word[:-1]
    if word.endswith("m"):
        word = f"{word[:-1]}n"  # batom, batons
    return word[:-1] if len(word) > 3 and word[-1] in "aeo" else word
