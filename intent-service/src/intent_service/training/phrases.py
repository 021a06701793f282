"""Reads the phrase files and grows their templates into sentences."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

INTENTS = (
    "greeting",
    "product_inquiry",
    "price_inquiry",
    "availability_inquiry",
    "faq",
    "appointment",
    "complaint",
    "escalation",
    "other",
)
_SLOT = re.compile(r"\{(?:(\w+):)?(\w+)\}")
_WEIGHT = re.compile(r"^\*(\d+) ")
_ARTICLES = {
    "es": {"the": {"m": "el", "f": "la"}, "a": {"m": "un", "f": "una"}, "thepl": {"m": "los", "f": "las"}},
    "pt": {"the": {"m": "o", "f": "a"}, "a": {"m": "um", "f": "uma"}, "thepl": {"m": "os", "f": "as"}},
    "en": {"the": {"-": "the"}, "a": {"-": "a"}, "thepl": {"-": "the"}},
}


@dataclass(frozen=True, slots=True)
class Template:
    """One line of a phrase file."""

    text: str
    intent: str
    language: str
    register: str
    weight: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence to learn from."""

    text: str
    intent: str
    language: str
    register: str


@dataclass(frozen=True, slots=True)
class Slots:
    """The words that fill the slots of one language."""

    language: str
    nouns: Mapping[str, list[str]]
    words: Mapping[str, list[str]]

    def fill(self, form: str | None, name: str, rng: random.Random) -> str:
        """Return a word for the slot `name` in the `form` (the, a, pl, thepl) that the phrase asks for."""
        if name in self.words:
            return rng.choice(self.words[name])
        singular, gender, plural = rng.choice(self.nouns[name]).split("/")
        if form == "pl":
            return plural
        if form is None:
            return singular
        return f"{_ARTICLES[self.language][form][gender]} {plural if form == 'thepl' else singular}"


def read_slots(folder: Path) -> Slots:
    """Return the slots of the language whose folder this is."""
    raw = tomllib.loads((folder / "slots.toml").read_text("utf-8"))
    return Slots(folder.name, raw["nouns"], raw["words"])


def read_templates(folder: Path) -> list[Template]:
    """Return the templates of all phrase files of a language."""
    return [template for path in sorted(folder.glob("*.txt")) for template in _templates_of(path, folder.name)]


def _templates_of(path: Path, language: str) -> Iterator[Template]:
    intent, register = path.stem, "neutral"
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("@"):
            words = line.split()
            intent = words[1] if words[0] == "@intent" else intent
            register = words[1] if words[0] == "@register" else register
        elif line.strip() and not line.startswith("#"):
            weight = _WEIGHT.match(line)
            text = line[weight.end() :] if weight else line
            yield Template(text, intent, language, register, int(weight.group(1)) if weight else 0)


class _Decks:
    """Deals the alternatives of each choice in turn, so that none is left out."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._decks: dict[str, list[str]] = {}

    def deal(self, inner: str) -> str:
        """Return the next alternative of a choice."""
        deck = self._decks.setdefault(inner, [])
        if not deck:
            deck.extend(_split(inner))
            self._rng.shuffle(deck)
        return deck.pop()


def grow(template: Template, slots: Slots, rng: random.Random) -> list[str]:
    """Return different sentences of a template: all of a plain list, a sample of a product of choices."""
    count = alternatives(template.text)
    limit = sample_size(template, count)
    decks = _Decks(rng)
    found: dict[str, None] = {}
    for _ in range(limit * 3):
        found[_filled(_chosen(template.text, decks, rng), slots, rng)] = None
        if len(found) >= limit:
            break
    return list(found)


def sample_size(template: Template, count: int) -> int:
    """Return how many sentences a template with `count` combinations gives."""
    widest = max((len(_split(template.text[start + 1 : end])) for start, end in _groups(template.text)), default=1)
    return min(count, max(widest, int(2.5 * count**0.5)) + 3 * template.weight)


def alternatives(text: str) -> int:
    """Return how many sentences the choices of a template can make, slots not counted."""
    count = 1
    for start, end in _groups(text):
        inner = text[start + 1 : end]
        count *= sum(alternatives(part) for part in _split(inner)) + (text[start] == "[")
    return count


def _filled(text: str, slots: Slots, rng: random.Random) -> str:
    filled = _SLOT.sub(lambda match: slots.fill(match.group(1), match.group(2), rng), text)
    return " ".join(filled.replace(" ,", ",").split())


def _chosen(text: str, decks: _Decks, rng: random.Random) -> str:
    out: list[str] = []
    last = 0
    for start, end in _groups(text):
        out.append(text[last:start])
        inner = text[start + 1 : end]
        if text[start] == "(" or rng.random() < 0.5:
            out.append(_chosen(decks.deal(inner), decks, rng))
        last = end + 1
    return "".join(out) + text[last:]


def _groups(text: str) -> Iterator[tuple[int, int]]:
    depth, start = 0, 0
    for position, char in enumerate(text):
        if char in "([":
            start = position if depth == 0 else start
            depth += 1
        elif char in ")]":
            depth -= 1
            if depth == 0:
                yield start, position


def _split(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for position, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if char == "|" and depth == 0:
            parts.append(text[last:position])
            last = position + 1
    return [*parts, text[last:]]
