"""Amounts written in words, in Spanish and Portuguese."""

import re
from decimal import Decimal

_SMALL = {
    "un": 1, "uno": 1, "una": 1, "um": 1, "uma": 1, "dos": 2, "dois": 2, "duas": 2, "tres": 3, "cuatro": 4, "quatro": 4,
    "cinco": 5, "seis": 6, "siete": 7, "sete": 7, "ocho": 8, "oito": 8, "nueve": 9, "nove": 9, "diez": 10, "dez": 10,
    "once": 11, "onze": 11, "doce": 12, "doze": 12, "trece": 13, "treze": 13, "catorce": 14, "quatorze": 14,
    "quince": 15, "quinze": 15, "dieciseis": 16, "dezesseis": 16, "diecisiete": 17, "dezessete": 17, "dieciocho": 18,
    "dezoito": 18, "diecinueve": 19, "dezenove": 19, "veinte": 20, "vinte": 20, "veintiuno": 21, "veintidos": 22,
    "veintitres": 23, "veinticuatro": 24, "veinticinco": 25, "veintiseis": 26, "veintisiete": 27, "veintiocho": 28,
    "veintinueve": 29, "treinta": 30, "trinta": 30, "cuarenta": 40, "quarenta": 40, "cincuenta": 50, "cinquenta": 50,
    "sesenta": 60, "sessenta": 60, "setenta": 70, "ochenta": 80, "oitenta": 80, "noventa": 90, "cien": 100, "cem": 100,
    "ciento": 100, "cento": 100, "doscientos": 200, "duzentos": 200, "trescientos": 300, "trezentos": 300,
    "cuatrocientos": 400, "quatrocentos": 400, "quinientos": 500, "quinhentos": 500, "seiscientos": 600,
    "seiscentos": 600, "setecientos": 700, "setecentos": 700, "ochocientos": 800, "oitocentos": 800,
    "novecientos": 900, "novecentos": 900,
}  # fmt: skip
_ONE = "|".join(sorted(_SMALL, key=len, reverse=True))
_RUN = re.compile(
    rf"\b((?:(?:{_ONE}|mil)(?:\s+(?:y|e)\s+|\s+))+)(pesos|reais|dolares)\b|\b((?:(?:{_ONE})(?:\s+(?:y|e)\s+|\s+))+mil)\b"
)


def _value(run: str) -> Decimal:
    total, current = 0, 0
    for word in run.split():
        if word == "mil":
            total, current = total + (current or 1) * 1000, 0
        else:
            current += _SMALL.get(word, 0)
    return Decimal(total + current)


def worded_amounts(folded: str) -> tuple[tuple[Decimal, str], ...]:
    """Return the amounts that folded text writes in words, with the words: those before a currency or with `mil`."""
    return tuple((_value(match[1] or match[3]), match[0]) for match in _RUN.finditer(folded))
