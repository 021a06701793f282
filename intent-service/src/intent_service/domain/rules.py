"""High-precision rules over normalised text: patterns under a linear-time engine, with the scope of negations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import re2

NEGATION_WINDOW = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        name: what the answer calls it.
        label: what it says: an intent, or a reason to escalate.
        patterns: regular expressions over normalised text; any of them is enough.
        unless: regular expressions; any of them anywhere in the text makes the rule silent.
        is_negatable: whether a negation just before the match makes it void.
        confidence: how sure the rule is, 0 to 1.
        priority: how soon a person is needed, for rules of escalation; empty for the default of the label.
    """

    name: str
    label: str
    patterns: tuple[str, ...]
    unless: tuple[str, ...] = ()
    is_negatable: bool = False
    confidence: float = 0.95
    priority: str = ""


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    patterns: tuple[re2._Regexp[str], ...]
    unless: tuple[re2._Regexp[str], ...]


class RuleSet:
    """Rules that are tried together in one pass over the text.

    Args:
        rules: in order of importance.
        negation: regular expression of the words that negate what follows them.
    """

    def __init__(self, rules: Sequence[Rule], negation: str = r"\b(no|sin|not|sem)\b") -> None:
        self._negation = re2.compile(negation)
        self._rules = [
            _Compiled(
                rule,
                tuple(re2.compile(pattern) for pattern in rule.patterns),
                tuple(re2.compile(pattern) for pattern in rule.unless),
            )
            for rule in rules
        ]
        self._set = re2.Set.SearchSet()
        self._owners: list[int] = []
        for number, rule in enumerate(rules):
            for pattern in rule.patterns:
                self._set.Add(pattern)
                self._owners.append(number)
        self._set.Compile()

    def matches(self, *texts: str) -> list[Rule]:
        """Return the rules that hold for any of the texts, in their order.

        Args:
            texts: one message, normalised, and perhaps the same with its typos corrected.
        """
        if not self._owners:
            return []
        numbers = {number for text in dict.fromkeys(texts) for number in self._holding(text)}
        return [self._rules[number].rule for number in sorted(numbers)]

    def _holding(self, text: str) -> set[int]:
        found = {self._owners[place] for place in self._set.Match(text) or ()}
        return {number for number in found if self._holds(self._rules[number], text)}

    def _holds(self, compiled: _Compiled, text: str) -> bool:
        if any(pattern.search(text) for pattern in compiled.unless):
            return False
        if not compiled.rule.is_negatable:
            return True
        return any(not self._is_negated(text, start) for start in self._starts(compiled, text))

    def _starts(self, compiled: _Compiled, text: str) -> Iterator[int]:
        for pattern in compiled.patterns:
            for match in pattern.finditer(text):
                yield match.start()

    def _is_negated(self, text: str, start: int) -> bool:
        before = text[:start].split(" ")
        return self._negation.search(" ".join(before[-NEGATION_WINDOW - 1 :])) is not None
