"""Brings the ways customers write (case, accents, chat spellings, emoji, laughter) to one form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
_APOSTROPHES = re.compile("[\u2019\u00b4\u0060']")
_DIGITS = re.compile(r"\d+(?:[.,:/]\d+)*")
_TOKEN = re.compile(r"[^\W_]+|[?!$]")
_LAUGHTER = re.compile(
    r"^(?:[ah]?j?(?:ja){2,}[jhs]*|jajs?|(?:je){2,}j*|(?:ji){2,}j*|[ah]?(?:ha){2,}h*|(?:he){2,}h*|(?:hi){2,}|k{3,}|(?:rs){2,}|x+d+|lo+l|(?:js){2,}|(?:ks){2,})$"
)
_LETTERS_OF_EMOJI = frozenset(("So", "Sk", "Cs"))
_KEPT_MARKS = "?!$"


@dataclass(frozen=True, slots=True)
class Spellings:
    """Chat spellings and emoji, as the words that they stand for."""

    words: Mapping[str, str] = field(default_factory=dict)
    emoji: Mapping[str, str] = field(default_factory=dict)


def fold(text: str) -> str:
    """Return `text` in lower case and without accents; ñ becomes n and ç becomes c."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    decomposed = unicodedata.normalize("NFKD", lowered)
    # Lower case again: styled capitals become plain ones only now.
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower()


def normalise(text: str, spellings: Spellings) -> str:
    """Return the words of `text`, folded, spelled out and separated by single spaces.

    Numbers become `0`, laughter `jaja`, emoji their words; `?`, `!` and `$` stay as words of their own.
    """
    folded = fold(_spell_emoji(text, spellings.emoji))
    tokens = _TOKEN.findall(_DIGITS.sub(" 0 ", _APOSTROPHES.sub("", folded)))
    return " ".join(_word(token, spellings.words) for token in _without_repeats(tokens))


def _word(token: str, words: Mapping[str, str]) -> str:
    if _LAUGHTER.match(token):
        return "jaja"
    short = _REPEATED.sub(r"\1", token)
    return words.get(short, short)


def _without_repeats(tokens: list[str]) -> list[str]:
    kept: list[str] = []
    for token in tokens:
        if not kept or token not in _KEPT_MARKS or kept[-1] != token:
            kept.append(token)
    return kept


def _spell_emoji(text: str, emoji: Mapping[str, str]) -> str:
    if text.isascii():
        return text
    if not any(ord(char) > 0x2000 for char in text):
        return text
    return "".join(f" {_emoji_word(char, emoji)} " if _is_emoji(char) else char for char in text)


def _is_emoji(char: str) -> bool:
    return ord(char) > 0x2000 and (unicodedata.category(char) in _LETTERS_OF_EMOJI or char in "\ufe0f\u200d")


def _emoji_word(char: str, emoji: Mapping[str, str]) -> str:
    if char in "\ufe0f\u200d":
        return ""
    return emoji.get(char, "emoji")
