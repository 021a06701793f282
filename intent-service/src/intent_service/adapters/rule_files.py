"""Reads the rules, spellings and texts that ship with the service."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intent_service.domain.conversation import FailureReader
from intent_service.domain.escalation import Decider, Thresholds
from intent_service.domain.rules import Rule, RuleSet
from intent_service.domain.sentiment import Lexicon
from intent_service.domain.text import Spellings

PACKAGE = Path(__file__).parent.parent
RULES = PACKAGE / "rules"


def read_spellings() -> Spellings:
    """Return the chat spellings and emoji."""
    raw = _toml(RULES / "spellings.toml")
    return Spellings(raw["words"], raw["emoji"])


def read_intent_rules() -> RuleSet:
    """Return the rules that decide an intent."""
    raw = _toml(RULES / "intents.toml")
    return RuleSet([_rule(table, table["intent"]) for table in raw["rule"]], raw["negation"])


def read_decider(thresholds: Thresholds) -> Decider:
    """Return the built-in rules of escalation with the given thresholds."""
    raw = _toml(RULES / "escalation.toml")
    rules = RuleSet([_rule(table, table["reason"]) for table in raw["rule"]], raw["negation"])
    return Decider(rules, RuleSet([_rule(table, "complaint") for table in raw["mild"]]), thresholds)


def read_failures() -> FailureReader:
    """Return the reader of failed answers."""
    raw = _toml(RULES / "failures.toml")
    return FailureReader(raw["patterns"], raw["closing"], raw["useless"], raw["offered"], raw["insisting"])


def read_lexicon() -> Lexicon:
    """Return the words that carry feeling."""
    raw = _toml(RULES / "sentiment.toml")
    values = {"strong": 0.6, "mild": 0.35}
    words = {word: values[degree] for degree, listed in raw["positive"].items() for word in listed}
    words |= {word: -values[degree] for degree, listed in raw["negative"].items() for word in listed}
    return Lexicon(words, frozenset(raw["negators"]))


def read_reasons() -> Mapping[str, Mapping[str, str]]:
    """Return the reasons for people, by language."""
    return _toml(PACKAGE / "texts" / "reasons.toml")


def read_borders() -> Mapping[str, str]:
    """Return what each intent is and is not, by its name."""
    return _toml(RULES / "borders.toml")


def _rule(table: Mapping[str, Any], label: str) -> Rule:
    return Rule(
        table["name"],
        label,
        tuple(table["patterns"]),
        tuple(table.get("unless", ())),
        table.get("negatable", False),
        table.get("confidence", 0.95),
        table.get("priority", ""),
    )


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))
