"""Times, spans, dates and street addresses in a reply must come from the business's data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.normalise import fold
from llm_service.domain.plain_text import URL
from llm_service.domain.values import Verdict

DAYS_OF_WEEK = 7
HALF_DAY = 12
_PART = re.compile(r"[.;\n!?]+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class TimeWords:
    """Patterns over folded text by name, and the names of weekdays, seven for each language, Monday first."""

    patterns: Mapping[str, re.Pattern[str]]
    weekdays: tuple[str, ...]

    def found(self, name: str, text: str) -> list[re.Match[str]]:
        """Return where a pattern matches."""
        return list(self.patterns[name].finditer(text))


def _clock(match: re.Match[str]) -> tuple[int, int]:
    hour, minute = int(match["h"]), int(match["m"] or 0)
    half = match["half"] or ""
    return (hour + 12 if half.startswith("p") and hour < 12 else hour), minute


def _clocks(text: str, words: TimeWords) -> set[tuple[int, int]]:
    return {_clock(match) for match in words.found("clock", text)}


def _known_clocks(evidence: Evidence, words: TimeWords) -> set[tuple[int, int]]:
    given = evidence.folded
    told = _clocks(given, words)
    spans = {(int(number), 0) for match in words.found("clock_span", given) for number in _NUMBER.findall(match[0])}
    known = told | spans
    return known | {(hour - HALF_DAY, minute) for hour, minute in known if hour > HALF_DAY}


def _spans(text: str, words: TimeWords) -> set[tuple[str, str]]:
    """Return the spans of a text; `24 a 48 horas` is another one than `24 horas`."""
    return {
        ("-".join(_NUMBER.findall(match["numbers"])) or match["numbers"], match["unit"][:3])
        for match in words.found("span", text)
    }


def _wrongly_open(text: str, given: str, words: TimeWords) -> set[int]:
    """Return the days that a sentence says to be open and the data says to be closed."""
    closed = {day for part in _PART.split(given) if words.found("closed", part) for day in _days(part, words)}
    says_open = (p for p in _PART.split(text) if words.found("open", p) and not words.found("closed", p))
    return {day for part in says_open for day in _days(part, words)} & closed


def _days(text: str, words: TimeWords) -> set[int]:
    """Return the weekdays that a text names, those inside a range included, Monday as 0."""
    name = "|".join(f"{day}s?" for day in words.weekdays)
    places = {day: at % DAYS_OF_WEEK for at, day in enumerate(words.weekdays)}
    matches = re.finditer(rf"\b(?:{name})\b", text)
    found = [(places.get(match[0], places.get(match[0].rstrip("s"), 0)), match) for match in matches]
    days = {day for day, _ in found}
    for (first, start), (last, end) in pairwise(found):
        if re.fullmatch(r"\s*(?:a|to|-|hasta|ate(?: a)?|through)\s*(?:el\s*|los\s*)?", text[start.end() : end.start()]):
            days |= {(first + step) % DAYS_OF_WEEK for step in range((last - first) % DAYS_OF_WEEK + 1)}
    return days


def check_times(text: str, evidence: Evidence, words: TimeWords) -> Verdict:
    """Tell whether every hour, span, date and day of delivery in `text` is in the data or in the client's words."""
    folded, given = fold(URL.sub(" ", text)), evidence.folded
    wrong = [f"{hour}:{minute:02}" for hour, minute in sorted(_clocks(folded, words) - _known_clocks(evidence, words))]
    wrong += [f"{number} {unit}…" for number, unit in sorted(_spans(folded, words) - _spans(given, words))]
    wrong += [match[0] for match in words.found("date", folded) if match[0] not in given]
    wrong += [match[0] for match in words.found("soon", folded) if match[0] not in given]
    wrong += [f"open on {words.weekdays[day]}" for day in sorted(_wrongly_open(folded, given, words))]
    if evidence.business_texts or evidence.rows:
        wrong += [words.weekdays[day] for day in sorted(_days(folded, words) - _days(given, words))]
    return Verdict("times", not wrong, f"not in the data: {', '.join(wrong[:3])}" if wrong else "")


def check_places(text: str, evidence: Evidence, words: TimeWords) -> Verdict:
    """Tell whether every street address in `text` is in the data."""
    given = set(_NUMBER.findall(evidence.folded))
    folded = fold(URL.sub(" ", text))
    streets = [(match[0].strip(), match["number"] or match["number2"]) for match in words.found("street", folded)]
    wrong = [street for street, number in streets if number not in given]
    wrong += [match[0].strip() for match in words.found("branch", folded) if match["place"] not in evidence.folded]
    return Verdict("places", not wrong, f"not in the data: {', '.join(wrong[:2])}" if wrong else "")
