"""A reply must not show its instructions, repeat itself, or speak another language than the client."""

import re
from collections import Counter
from collections.abc import Mapping

from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.language import Languages
from llm_service.domain.normalise import fold
from llm_service.domain.values import Verdict

LEAK_WORDS = 8
LOOP_WORDS = 6
MOST_REPEATS = 3
MOST_EMOJI = 2
LANGUAGE_LEAD = 3
MOST_LINES = 12
FOREIGN_SHARE = 0.2
MOST_LATIN = "\u024f"
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[.!?…\n]+")
_HEADING = re.compile(r"^\s*(?:#+|\[)\s*(.+?)\]?\s*$", re.MULTILINE)
_EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff])"
    "(?:[\ufe0f\U0001f3fb-\U0001f3ff]|\u200d[\U0001f000-\U0001faff\u2600-\u27bf]\ufe0f?)*"
)


def _runs(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


def check_leaks(text: str, evidence: Evidence) -> Verdict:
    """Tell whether `text` holds neither the canary, nor a heading, nor eight words in a row of the instructions."""
    folded = fold(text)
    if evidence.canary and evidence.canary.lower() in folded:
        return Verdict("leaks", passed=False, detail="holds the canary")
    instructions = fold(evidence.instructions)
    given = fold("\n".join((*evidence.texts, evidence.client_words)))
    if any(heading in folded for heading in _HEADING.findall(instructions)):
        return Verdict("leaks", passed=False, detail="holds a heading of the instructions")
    told = set(_runs(_WORD.findall(instructions), LEAK_WORDS)) - set(_runs(_WORD.findall(given), LEAK_WORDS))
    leaked = any(run in told for run in _runs(_WORD.findall(folded), LEAK_WORDS))
    return Verdict("leaks", not leaked, "repeats the instructions" if leaked else "")


def check_loops(text: str) -> Verdict:
    """Tell whether `text` says no sentence and no six words three times."""
    folded = fold(text)
    sentences = Counter(" ".join(_WORD.findall(part)) for part in _SENTENCE.split(folded))
    said = max((count for sentence, count in sentences.items() if len(sentence.split()) > 1), default=0)
    runs = Counter(_runs(_WORD.findall(folded), LOOP_WORDS))
    repeated = said >= MOST_REPEATS or max(runs.values(), default=0) >= MOST_REPEATS
    return Verdict("loops", not repeated, "repeats itself" if repeated else "")


def _foreign(text: str, own: int, foreign: Mapping[str, frozenset[str]]) -> str:
    """Return a language or script that no client is answered in and that `text` is clearly in."""
    letters = [char for char in text if char.isalpha()]
    if letters and sum(char > MOST_LATIN for char in letters) > len(letters) * FOREIGN_SHARE:
        return "another script"
    found = _WORD.findall(fold(text))
    most = max(((sum(word in known for word in found), name) for name, known in foreign.items()), default=(0, ""))
    return most[1] if most[0] >= max(LANGUAGE_LEAD, own) else ""


def check_language(
    text: str, language: str, languages: Languages, foreign: Mapping[str, frozenset[str]] | None = None
) -> Verdict:
    """Tell whether `text` is in `language`, or at least not clearly in another one."""
    votes = languages.votes(text)
    strange = _foreign(text, votes.get(language, 0), foreign or {})
    if strange:
        return Verdict("language", passed=False, detail=f"reads as {strange}, not {language}")
    own = votes.get(language, 0)
    other, most = max(((code, n) for code, n in votes.items() if code != language), key=lambda v: v[1], default=("", 0))
    wrong = language in votes and most >= own + LANGUAGE_LEAD
    return Verdict("language", not wrong, f"reads as {other}, not {language}" if wrong else "")


def check_form(text: str, limit: int) -> Verdict:
    """Tell whether `text` says something and not too much.

    Args:
        text: the rendered text.
        limit: most characters of a whole reply.
    """
    if not any(char.isalnum() for char in text):
        return Verdict("form", passed=False, detail="says nothing")
    if sum(bool(line.strip()) for line in text.split("\n")) > MOST_LINES:
        return Verdict("form", passed=False, detail=f"has more than {MOST_LINES} lines")
    if len(text) > limit:
        return Verdict("form", passed=False, detail=f"has more than {limit} characters")
    return Verdict("form", passed=True)


def fewer_emoji(text: str) -> str:
    """Return `text` with its first two emoji only."""
    seen = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return match[0] if seen <= MOST_EMOJI else ""

    return re.sub(r" {2,}", " ", _EMOJI.sub(keep, text)) if len(_EMOJI.findall(text)) > MOST_EMOJI else text
