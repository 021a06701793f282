"""Fixed texts and amounts in the client's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

FALLBACK_LANGUAGE = "es"
SYMBOLS = {"ARS": "$", "USD": "US$", "BRL": "R$", "EUR": "€", "MXN": "$", "CLP": "$", "COP": "$", "UYU": "$U"}


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts by name and language."""

    by_name: Mapping[str, Mapping[str, str]]

    def get(self, key: str, language: str, /, **values: str) -> str:
        """Return a text with its placeholders filled; in Spanish where there is none in `language`."""
        by_language = self.by_name[key]
        template = by_language.get(language) or by_language[FALLBACK_LANGUAGE]
        return template.format_map(values)

    def variants(self, name: str) -> tuple[str, ...]:
        """Return a text in every language, placeholders unfilled."""
        return tuple(self.by_name[name].values())


def format_amount(amount: Decimal, language: str) -> str:
    """Return the number as people of the language write it; cents only where there are any."""
    digits = f"{amount:,.2f}" if amount % 1 else f"{amount:,.0f}"
    return digits if language == "en" else digits.translate(str.maketrans(",.", ".,"))


def format_money(amount: Decimal, currency: str, language: str) -> str:
    """Return an amount as the business's clients read it: `$31.990` in Spanish, `ARS 31,990` in English."""
    number = format_amount(amount, language)
    if language != FALLBACK_LANGUAGE or currency not in SYMBOLS:
        return f"{currency} {number}".strip()
    return f"{SYMBOLS[currency]}{number}"
