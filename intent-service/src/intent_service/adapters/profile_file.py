"""Reads and validates the intents file of a business profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from intent_service.domain.analysis import Intent, Reason
from intent_service.domain.profile import ProfileRules
from intent_service.domain.rules import Rule, RuleSet
from intent_service.domain.text import Spellings, fold, normalise
from kommomesh_runtime.profile import ProfileError, read_toml

FILE_NAME = "intents.toml"
_KEYWORD_CONFIDENCE = 0.85
_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\"-]+)\s*\]")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Matching(_Frozen):
    keywords: tuple[str, ...] = Field(default=(), max_length=500)
    patterns: tuple[str, ...] = Field(default=(), max_length=100)

    @field_validator("keywords")
    @classmethod
    def _are_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not word.strip() or len(word) > 100:
                raise ValueError(f"{word!r} must have 1 to 100 characters")
        return value

    @field_validator("patterns")
    @classmethod
    def _compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if not pattern or len(pattern) > 1000:
                raise ValueError(f"{pattern[:40]!r} must have 1 to 1000 characters")
            try:
                compiled = re2.compile(pattern, _quiet())
            except re2.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {_words_of(error)}") from None
            if compiled.search("") is not None:
                raise ValueError(f"{pattern!r} matches every message")
        return value


class _IntentTable(_Matching):
    examples: tuple[str, ...] = Field(default=(), max_length=2000)
    threshold: float | None = Field(default=None, ge=0, le=1)

    @field_validator("examples")
    @classmethod
    def _are_phrases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in value:
            if not phrase.strip() or len(phrase) > 500:
                raise ValueError(f"{phrase[:40]!r} must have 1 to 500 characters")
        return value


class _EscalationTable(_Matching):
    name: str = Field(min_length=1, max_length=80)
    reason: str = Field(default="", max_length=300)
    priority: Literal["low", "medium", "high", "critical"] = "medium"


class _IntentsFile(_Frozen):
    intents: Mapping[Intent, _IntentTable] = Field(default_factory=dict)
    escalation: tuple[_EscalationTable, ...] = Field(default=(), max_length=200)


def load_profile_rules(directory: Path, spellings: Spellings) -> ProfileRules:
    """Return what the intents file of a profile directory adds; nothing when there is no such file.

    Keywords and patterns see normalised text: lower case, without accents, numbers as `0`.

    Raises:
        ProfileError: the file is wrong; it names file, line and field.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return ProfileRules()
    data, source = read_toml(path)
    try:
        content = _IntentsFile.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        where = [part for part in problem["loc"] if part != "[key]"]
        raise ProfileError(path, ".".join(map(str, where)), problem["msg"], _line(source, where)) from None
    return _rules(content, spellings)


def _rules(content: _IntentsFile, spellings: Spellings) -> ProfileRules:
    intents = content.intents
    return ProfileRules(
        tuple((intent, phrase) for intent, table in intents.items() for phrase in table.examples),
        RuleSet([rule for intent, table in intents.items() for rule in _intent_rules(intent, table, spellings)]),
        RuleSet(
            [_escalation_rule(table, spellings) for table in content.escalation if table.keywords or table.patterns]
        ),
        {intent: table.threshold for intent, table in intents.items() if table.threshold is not None},
        {f"profile.{table.name}": table.reason for table in content.escalation if table.reason},
    )


def _intent_rules(intent: Intent, table: _IntentTable, spellings: Spellings) -> list[Rule]:
    rules = []
    if table.patterns:
        rules.append(Rule(f"profile.{intent}.patterns", intent, tuple(_unaccented(p) for p in table.patterns)))
    if table.keywords:
        words = _keyword_patterns(table.keywords, spellings)
        rules.append(Rule(f"profile.{intent}.keywords", intent, words, confidence=_KEYWORD_CONFIDENCE))
    return rules


def _escalation_rule(table: _EscalationTable, spellings: Spellings) -> Rule:
    patterns = (*(_unaccented(p) for p in table.patterns), *_keyword_patterns(table.keywords, spellings))
    return Rule(f"profile.{table.name}", Reason.PROFILE_RULE, patterns, priority=table.priority)


def _keyword_patterns(keywords: tuple[str, ...], spellings: Spellings) -> tuple[str, ...]:
    return tuple(rf"\b{re2.escape(normalise(word, spellings))}\b" for word in keywords)


def _unaccented(pattern: str) -> str:
    """Return a pattern without accents; its letters keep their case, because `\\W` is not `\\w`."""
    return "".join(fold(char) if not char.isascii() else char for char in pattern)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _words_of(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode() if isinstance(said, bytes) else str(said)


def _line(source: str, where: list[int | str]) -> int | None:
    """Return the line of a field: its key under its own table, else the line of the table."""
    table: list[str] = []
    seen: dict[str, int] = {}
    best: int | None = None
    for number, line in enumerate(source.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            name = header.group(2).replace('"', "")
            table = name.split(".")
            if header.group(1) == "[[":
                table = [*table, str(seen.get(name, 0))]
                seen[name] = seen.get(name, 0) + 1
            if table == [str(part) for part in where[: len(table)]]:
                best = number
        elif best and _is_key(line, where, table):
            return number
    return best


def _is_key(line: str, where: list[int | str], table: list[str]) -> bool:
    path = [str(part) for part in where]
    if table != path[: len(table)] or len(path) == len(table):
        return False
    return re.match(rf"^\s*\"?{re.escape(path[len(table)])}\"?\s*=", line) is not None
