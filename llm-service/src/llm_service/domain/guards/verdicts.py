"""All guards over one reply."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_service.domain.guards.amounts import check_amounts
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.manners import check_form, check_language, check_leaks, check_loops
from llm_service.domain.guards.sources import check_claims, check_links, check_names, check_stock
from llm_service.domain.language import Languages
from llm_service.domain.normalise import fold
from llm_service.domain.phrases import sentences
from llm_service.domain.values import Verdict

LONGEST_REPLY = 1800


@dataclass(frozen=True, slots=True)
class Guards:
    """What the guards know beside the evidence: languages, and patterns over folded text.

    `claims` say something as done, `promises` promise a person, `conditions` make an offer of a promise.
    """

    languages: Languages
    claims: tuple[re.Pattern[str], ...]
    promises: tuple[re.Pattern[str], ...]
    conditions: re.Pattern[str]

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
            check_stock(text, evidence),
            check_claims(text, self.claims),
            check_leaks(text, evidence),
            check_loops(text),
            check_language(text, evidence.language, self.languages),
        )


def build_guards(languages: Languages, claims: Sequence[str], promises: Sequence[str], conditions: str) -> Guards:
    """Return the guards with the patterns of a data file; a malformed one raises `re.error` at start."""
    return Guards(
        languages,
        tuple(re.compile(pattern) for pattern in claims),
        tuple(re.compile(pattern) for pattern in promises),
        re.compile(conditions),
    )


def failed(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return the verdicts that keep a reply from leaving."""
    return tuple(verdict for verdict in verdicts if not verdict.passed)
