"""Scores an analyzer on a labelled file: accuracy, F1 of each intent, confusion, calibration, figures by language."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intent_service.domain.analysis import Analysis, Intent
from intent_service.domain.analyzer import Analyzer, Request, check_text

_BINS = 10


class LabelledFileInvalid(Exception):
    """A line of a labelled file cannot be used; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One message with the intent that it has."""

    text: str
    intent: Intent
    language: str
    register: str


@dataclass(frozen=True, slots=True)
class Score:
    """What an analyzer reaches on labelled messages; shares run from 0 to 1."""

    count: int
    accuracy: float
    macro_f1: float
    f1: Mapping[Intent, float]
    calibration_error: float
    accuracy_by_language: Mapping[str, float]
    accuracy_by_register: Mapping[str, float]
    confusion: Mapping[tuple[Intent, Intent], int]


def read_labelled(path: Path) -> list[Labelled]:
    """Return the messages of a JSON-lines file with `text`, `intent` and, where known, `lang` and `register`.

    Raises:
        LabelledFileInvalid: a line is no such object.
    """
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            check_text(raw["text"])
            intent = Intent(raw["intent"])
        except Exception as error:
            raise LabelledFileInvalid(f"{path}:{number}: {error}") from None
        found.append(Labelled(raw["text"], intent, str(raw.get("lang", "")), str(raw.get("register", ""))))
    return found


def score(analyzer: Analyzer, messages: Sequence[Labelled]) -> Score:
    """Return how well `analyzer` does on labelled messages."""
    analyses = analyzer.analyze_many([Request(message.text) for message in messages])
    confusion = Counter((m.intent, a.intent) for m, a in zip(messages, analyses, strict=True))
    present = sorted({message.intent for message in messages})
    f1 = {intent: _f1(confusion, intent) for intent in present}
    hits = sum(count for (gold, told), count in confusion.items() if gold is told)
    return Score(
        len(messages),
        hits / max(1, len(messages)),
        sum(f1.values()) / max(1, len(f1)),
        f1,
        _calibration_error(messages, analyses),
        _accuracy_by([message.language for message in messages], messages, analyses),
        _accuracy_by([message.register for message in messages], messages, analyses),
        confusion,
    )


def _f1(confusion: Mapping[tuple[Intent, Intent], int], intent: Intent) -> float:
    right = confusion.get((intent, intent), 0)
    told = sum(count for (_, answer), count in confusion.items() if answer is intent)
    there = sum(count for (gold, _), count in confusion.items() if gold is intent)
    return 2 * right / (told + there)


def _calibration_error(messages: Sequence[Labelled], analyses: Sequence[Analysis]) -> float:
    gaps = [0.0] * _BINS
    for message, analysis in zip(messages, analyses, strict=True):
        place = min(_BINS - 1, int(analysis.confidence * _BINS))
        gaps[place] += analysis.confidence - (analysis.intent is message.intent)
    return sum(map(abs, gaps)) / max(1, len(messages))


def _accuracy_by(
    keys: Sequence[str], messages: Sequence[Labelled], analyses: Sequence[Analysis]
) -> Mapping[str, float]:
    seen, hits = Counter(keys), Counter[str]()
    for key, message, analysis in zip(keys, messages, analyses, strict=True):
        hits[key] += analysis.intent is message.intent
    return {key: hits[key] / seen[key] for key in sorted(seen)}
