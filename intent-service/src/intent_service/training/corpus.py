"""Makes the sentences that the model learns from: the grown phrases, and the same as customers write them."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

from intent_service.training.held_out import digest_of, read_held_out
from intent_service.training.noise import Decorator, with_question_mark
from intent_service.training.phrases import Phrase, grow, read_slots, read_templates

LANGUAGES = ("es", "pt", "en")


def plain_phrases(data: Path, seed: int) -> list[Phrase]:
    """Return the grown phrases of all languages, each once, without those that are held out."""
    held_out = read_held_out(data)
    rng = random.Random(seed)  # noqa: S311 - the same phrases at every build
    found: dict[tuple[str, str], Phrase] = {}
    for language in LANGUAGES:
        slots = read_slots(data / language)
        for template in read_templates(data / language):
            for text in grow(template, slots, rng):
                found[language, text] = Phrase(text, template.intent, language, template.register)
    kept = [phrase for phrase in found.values() if phrase.text and digest_of(phrase.text) not in held_out]
    return [with_question_mark(phrase, rng) for phrase in kept]


def written_phrases(plain: list[Phrase], data: Path, seed: int) -> list[Phrase]:
    """Return the phrases again as customers write them, one variant of each, and messages with two wishes."""
    rng = random.Random(seed + 1)  # noqa: S311 - as above
    decorator = Decorator(tomllib.loads((data / "around.toml").read_text("utf-8")), rng)
    written = [decorator.decorated(phrase) for phrase in plain] + _pairs(plain, decorator, rng)
    held_out = read_held_out(data)
    return [phrase for phrase in written if digest_of(phrase.text) not in held_out]


def _pairs(plain: list[Phrase], decorator: Decorator, rng: random.Random) -> list[Phrase]:
    pairs = []
    for language in LANGUAGES:
        own = [phrase for phrase in plain if phrase.language == language]
        spoken = [phrase for phrase in own if phrase.intent not in ("other", "greeting")]
        pairs += [decorator.paired(*rng.sample(spoken, 2)) for _ in range(len(spoken) // 7)]
    return pairs
