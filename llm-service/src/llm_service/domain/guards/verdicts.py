"""All guards over one reply."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_service.domain.guards.amounts import check_amounts
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.manners import check_form, check_language, check_leaks, check_loops
from llm_service.domain.guards.offers import StockWords, check_brands, check_meta, check_offers, check_stock_words
from llm_service.domain.guards.sources import (
    check_claims,
    check_links,
    check_names,
    check_numbers,
    check_perceptions,
    check_stock,
)
from llm_service.domain.guards.times import TimeWords, check_places, check_times
from llm_service.domain.language import Languages
from llm_service.domain.normalise import fold
from llm_service.domain.phrases import sentences
from llm_service.domain.values import Verdict

LONGEST_REPLY = 1800


@dataclass(frozen=True, slots=True)
class Guards:
    """What the guards know beside the evidence: languages, and patterns over folded text.

    `claims` say something as done, `perceptions` say that a file was seen or heard, `promises` promise a person,
    `conditions` make an offer of a promise, `offers` give something away, `meta` speak of the model itself; `stock` and
    `times` are words of stock, time and place, `foreign` function words of languages that no client of a business is
    answered in.
    """

    languages: Languages
    claims: tuple[re.Pattern[str], ...]
    perceptions: tuple[re.Pattern[str], ...]
    promises: tuple[re.Pattern[str], ...]
    conditions: re.Pattern[str]
    offers: tuple[re.Pattern[str], ...]
    meta: tuple[re.Pattern[str], ...]
    stock: StockWords
    times: TimeWords
    foreign: Mapping[str, frozenset[str]]

    def promises_person(self, text: str) -> bool:
        """Tell whether a sentence of `text` promises that a person comes, rather than offers it."""
        told = [fold(sentence) for sentence in sentences(text) if "?" not in sentence]
        return any(p.search(one) for one in told if not self.conditions.search(one) for p in self.promises)

    def check(self, text: str, evidence: Evidence) -> tuple[Verdict, ...]:
        """Return what each guard says of `text`."""
        return (
            check_form(text, LONGEST_REPLY),
            check_amounts(text, evidence),
            check_links(text, evidence),
            check_names(text, evidence),
            check_numbers(text, evidence),
            check_stock(text, evidence),
            check_stock_words(text, evidence, self.stock),
            check_claims(text, self.claims),
            check_perceptions(text, evidence, self.perceptions),
            check_times(text, evidence, self.times),
            check_places(text, evidence, self.times),
            check_offers(text, evidence, self.offers),
            check_brands(text, evidence),
            check_meta(text, evidence, self.meta),
            check_leaks(text, evidence),
            check_loops(text),
            check_language(text, evidence.language, self.languages, self.foreign),
        )


def _compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def build_guards(languages: Languages, data: Mapping[str, Any]) -> Guards:
    """Return the guards with the patterns of a data file; a malformed one raises `re.error` at start."""
    return Guards(
        languages=languages,
        claims=_compiled(data["claims"]),
        perceptions=_compiled(data["perceptions"]),
        promises=_compiled(data["promises"]),
        conditions=re.compile(data["conditions"]),
        offers=_compiled(data["offers"]),
        meta=_compiled(data["meta"]),
        stock=StockWords(re.compile(data["stock"]["there"]), re.compile(data["stock"]["gone"])),
        times=TimeWords(
            {name: re.compile(pattern) for name, pattern in data["times"].items()}, tuple(data["weekdays"])
        ),
        foreign={name: frozenset(words.split()) for name, words in data["foreign"].items()},
    )


def failed(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return the verdicts that keep a reply from leaving."""
    return tuple(verdict for verdict in verdicts if not verdict.passed)
