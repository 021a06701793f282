"""Every amount of money in a reply must come from the business's data."""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations

from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.money import Amount, amounts, instalments, percentages
from llm_service.domain.normalise import fold
from llm_service.domain.values import Verdict

NAME = "amounts"
MOST_SUMMED = 12
LARGEST_SUM = 3
MOST_UNITS = 50
_TOTAL = re.compile(
    r"\b(total|suma|sumado|juntos?|juntas?|ambos|ambas|los dos|las dos|todo|con (?:el )?envio|com (?:o )?frete|both|"
    r"together|altogether|with shipping)\b|\+"
)
_COUNT = re.compile(r"\b(\d{1,2})\b")
Known = frozenset[tuple[Decimal, str]]


def _known(evidence: Evidence) -> Known:
    prices = {(row.price, row.currency or evidence.currency) for row in evidence.rows if row.price is not None}
    told = {(a.value, a.currency or evidence.currency) for text in evidence.texts for a in amounts(text)}
    return frozenset(prices | told)


def _instalment_values(known: Known, counts: frozenset[int]) -> Iterator[tuple[Decimal, str]]:
    for value, currency in known:
        for count in counts:
            yield value / count, currency


def _discounted(known: Known, percents: frozenset[Decimal]) -> Iterator[tuple[Decimal, str]]:
    for value, currency in known:
        for percent in percents:
            yield value * (100 - percent) / 100, currency
            yield value * percent / 100, currency


def _sums(known: Known) -> Iterator[tuple[Decimal, str]]:
    ordered = sorted(known)[:MOST_SUMMED]
    for size in range(2, LARGEST_SUM + 1):
        for group in combinations(ordered, size):
            if len({currency for _, currency in group}) == 1:
                yield sum((value for value, _ in group), Decimal(0)), group[0][1]


def _multiples(known: Known, counts: frozenset[int]) -> Iterator[tuple[Decimal, str]]:
    for value, currency in known:
        for count in counts:
            yield value * count, currency


def _offered_percents(evidence: Evidence) -> frozenset[Decimal]:
    told = frozenset(percent for text in evidence.texts for percent in percentages(text))
    return told | frozenset(Decimal(p) for p in range(1, evidence.max_discount_percent + 1))


def _offered_counts(evidence: Evidence) -> frozenset[int]:
    told = frozenset(count for text in evidence.texts for count in instalments(text))
    return told | frozenset(range(1, evidence.max_installments + 1))


def _derived(text: str, known: Known, evidence: Evidence) -> frozenset[tuple[Decimal, str]]:
    """Return the amounts that `text` may work out: only those whose working it shows."""
    counts = instalments(text) & _offered_counts(evidence)
    percents = percentages(text) & _offered_percents(evidence)
    units = {int(n) for n in _COUNT.findall(f"{text} {evidence.client_words}") if 2 <= int(n) <= MOST_UNITS}
    found = {*_discounted(known, percents), *_multiples(known, frozenset(units))}
    found |= set(_instalment_values(frozenset({*known, *found}), counts - {0}))
    if _TOTAL.search(fold(text)):
        found |= set(_sums(frozenset({*known, *_multiples(known, frozenset(units))})))
    return frozenset(found)


def _is_backed(amount: Amount, allowed: frozenset[tuple[Decimal, str]], evidence: Evidence) -> bool:
    currency = amount.currency or evidence.currency
    return any(currency == other and abs(amount.value - value) < 1 for value, other in allowed)


def _is_known(amount: Amount, known: Known, evidence: Evidence) -> bool:
    return (amount.value, amount.currency or evidence.currency) in known


def check_amounts(text: str, evidence: Evidence) -> Verdict:
    """Tell whether every amount, percentage and number of instalments in `text` is backed.

    An amount is backed by a retrieved price, by an amount in the business's texts, or by one that follows from them
    (instalment, offered discount, sum, multiple), to the nearest whole unit.
    """
    known = _known(evidence)
    unknown = [amount for amount in amounts(text) if not _is_known(amount, known, evidence)]
    allowed = _derived(text, known, evidence) if unknown else frozenset()
    unbacked = [amount.written for amount in unknown if not _is_backed(amount, allowed, evidence)]
    unbacked += [f"{percent}%" for percent in sorted(percentages(text) - _offered_percents(evidence))]
    unbacked += [f"{count} instalments" for count in sorted(instalments(text) - _offered_counts(evidence))]
    return Verdict(NAME, not unbacked, f"not in the data: {', '.join(unbacked)}" if unbacked else "")
