"""Fixed texts and amounts in the client's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

FALLBACK_LANGUAGE = "es"
POINT_COUNTRIES = frozenset({"MX", "GT", "HN", "SV", "NI", "PA", "DO", "PR", "PE", "US"})
SYMBOLS = {
    "ARS": "$",
    "USD": "US$",
    "BRL": "R$ ",
    "EUR": "€",
    "MXN": "$",
    "CLP": "$",
    "COP": "$",
    "UYU": "$U",
    "PEN": "S/ ",
}


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts by name and language."""

    by_name: Mapping[str, Mapping[str, str]]

    def get(self, key: str, language: str, /, *, variant: str = "", **values: str) -> str:
        """Return a text with its placeholders filled; in Spanish where there is none in `language`.

        Args:
            key: name of the text.
            language: ISO 639-1 code.
            variant: a register of the language, such as `neutral`, which comes first where the text has it.
            values: what fills the placeholders.
        """
        by_language = self.by_name[key]
        chosen = language if language in by_language else FALLBACK_LANGUAGE
        template = by_language.get(f"{chosen}_{variant}") or by_language[chosen]
        return template.format_map(values)

    def variants(self, name: str) -> tuple[str, ...]:
        """Return a text in every language, placeholders unfilled."""
        return tuple(self.by_name[name].values())


def format_amount(amount: Decimal, language: str, country: str = "") -> str:
    """Return the number as people of the language and country write it; cents only where there are any."""
    digits = f"{amount:,.2f}" if amount % 1 else f"{amount:,.0f}"
    has_points = language == "en" or (language == FALLBACK_LANGUAGE and country in POINT_COUNTRIES)
    return digits if has_points else digits.translate(str.maketrans(",.", ".,"))


def format_money(amount: Decimal, currency: str, language: str, country: str = "") -> str:
    """Return an amount as the business's clients read it: `$31.990` in Argentina, `189,50 €` in Spain.

    Args:
        amount: the price.
        currency: its ISO 4217 code.
        language: the client's language.
        country: ISO 3166 code of the business's country, which decides the decimal sign.
    """
    number = format_amount(amount, language, country)
    if language == "en" or currency not in SYMBOLS:
        return f"{currency} {number}".strip()
    if currency == "EUR":
        return f"{number} €"
    if language == "pt":
        return f"R$ {number}" if currency == "BRL" else f"{currency} {number}"
    return f"{SYMBOLS[currency]}{number}"
