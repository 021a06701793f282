"""Writes phrases again as customers do: with greetings, courtesies, fillers, typos and two wishes at once."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from intent_service.training.phrases import Phrase

PRECEDENCE = (
    "escalation",
    "complaint",
    "appointment",
    "price_inquiry",
    "availability_inquiry",
    "product_inquiry",
    "faq",
    "greeting",
    "other",
)
_QUESTION_SHARE = {
    "price_inquiry": 0.55,
    "availability_inquiry": 0.6,
    "faq": 0.55,
    "product_inquiry": 0.5,
    "appointment": 0.4,
    "escalation": 0.25,
    "complaint": 0.06,
    "other": 0.02,
    "greeting": 0.12,
}
_STATEMENT = re.compile(
    r"^(quiero|quisiera|quería|busco|necesito|me interesa|me gustaría|deseo|prefiero|no |i want|i need|i'd|i would|i'm|"
    r"quero|queria|gostaria|preciso|procuro|voy|llego|tengo|soy)"
)
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}


def with_typos(text: str, rng: random.Random, shortest: int = 5) -> str:
    """Return `text` with one random typo in each word of at least `shortest` letters."""
    return " ".join(_typo(word, rng) if len(word) >= shortest and word.isalpha() else word for word in text.split(" "))


def _typo(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word))
    kind = rng.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2 and place < len(word) - 1:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + rng.choice(_NEIGHBOURS.get(word[place].lower(), "e")) + word[place + 1 :]


def with_question_mark(phrase: Phrase, rng: random.Random) -> Phrase:
    """Return the phrase with a question mark where people often put one."""
    if phrase.text[-1] in "?!." or _STATEMENT.match(phrase.text) or rng.random() >= _QUESTION_SHARE[phrase.intent]:
        return phrase
    return Phrase(f"{phrase.text}?", phrase.intent, phrase.language, phrase.register)


class Decorator:
    """Adds to a phrase what people write around it."""

    def __init__(self, around: Mapping[str, Mapping[str, Sequence[str]]], rng: random.Random) -> None:
        self._around = around
        self._rng = rng

    def decorated(self, phrase: Phrase) -> Phrase:
        """Return the phrase with a random greeting, filler, courtesy or emoji, or with typos."""
        words = self._around[phrase.language]
        text = phrase.text
        if phrase.intent != "greeting" and self._rng.random() < 0.45:
            text = self._joined(self._rng.choice(words["before"]), text)
        if self._rng.random() < 0.15 and phrase.intent != "other":
            text = self._joined(self._rng.choice(words["fillers"]), text)
        if phrase.intent not in ("other", "greeting") and self._rng.random() < 0.35:
            text = self._joined(text, self._rng.choice(words["after"]))
        if self._rng.random() < 0.45:
            text = with_typos(text, self._rng)
        return Phrase(text, phrase.intent, phrase.language, phrase.register)

    def paired(self, first: Phrase, second: Phrase) -> Phrase:
        """Return one message that holds both phrases, with the intent that comes first in the order of precedence."""
        texts = [first.text, second.text]
        self._rng.shuffle(texts)
        intent = min(first.intent, second.intent, key=PRECEDENCE.index)
        joint = self._rng.choice(["? ", ". ", ", ", " y ", " ", "? y "])
        if joint in (" y ", "? y ") and first.language != "es":
            joint = {"pt": " e ", "en": " and "}[first.language]
        return Phrase(joint.join(texts), intent, first.language, "multi")

    def _joined(self, left: str, right: str) -> str:
        return left + self._rng.choice([" ", ", ", "! ", ". ", " "]) + right
