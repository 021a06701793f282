"""Text cut into the bubbles of a chat: at sentence ends, never inside an amount, a link or an emoji."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from llm_service.domain.plain_text import URL, plain

MAX_PART_CHARACTERS = 1000
MAX_PARTS = 4

_SENTENCE_END = re.compile(r"(?:(?<=[^\s.]{3}[.!?…])|(?<=[!?…]))\s+(?=[^\s\d])|\n+")
_CODE_LINE = re.compile(r"^(?=.*\d)[A-Z0-9][A-Z0-9._/-]{5,40}$")
_AMOUNT = re.compile(
    r"(?:US\$|R\$|\$U?|€|ARS|USD|BRL)\s*\d[\d.,]*|\d[\d.,]*\s*(?:pesos|d[oó]lares|reais|ARS|USD|%)", re.I
)
_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    alone: bool


def _is_alone(line: str) -> bool:
    stripped = line.strip()
    return bool(URL.fullmatch(stripped)) or bool(_CODE_LINE.match(stripped))


def _blocks(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    for line in text.split("\n"):
        if _is_alone(line):
            blocks.append(_Block(line.strip(), alone=True))
        elif blocks and not blocks[-1].alone:
            blocks[-1] = _Block(f"{blocks[-1].text}\n{line}", alone=False)
        else:
            blocks.append(_Block(line, alone=False))
    stripped = (_Block(block.text.strip(), block.alone) for block in blocks)
    return [block for block in stripped if block.text]


def _is_inside(text: str, at: int) -> bool:
    spans = [*URL.finditer(text), *_AMOUNT.finditer(text)]
    return any(span.start() < at < span.end() for span in spans)


def _splits_sign(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    after, before = text[at], text[at - 1]
    joined = after == _JOINER or before == _JOINER or unicodedata.combining(after) or 0xFE00 <= ord(after) <= 0xFE0F
    toned = 0x1F3FB <= ord(after) <= 0x1F3FF
    flags = 0x1F1E6 <= ord(after) <= 0x1F1FF and 0x1F1E6 <= ord(before) <= 0x1F1FF
    return bool(joined or toned or flags)


def _cut_at(text: str, limit: int) -> int:
    """Return where to cut a text that is longer than `limit`: a sentence end, else a blank, else a whole sign."""
    ends = [
        match.start() for match in _SENTENCE_END.finditer(text, 0, limit + 1) if not _is_inside(text, match.start())
    ]
    if ends and ends[-1] > 0:
        return ends[-1]
    blanks = [at for at in range(limit, 0, -1) if text[at].isspace() and not _is_inside(text, at)]
    if blanks:
        return blanks[0]
    return next(
        (at for at in range(limit, 0, -1) if not _splits_sign(text, at) and not _is_inside(text, at)), len(text)
    )


def _pieces(text: str, limit: int) -> list[str]:
    found: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        at = _cut_at(rest, limit)
        found.append(rest[:at].strip())
        rest = rest[at:].strip()
    return [*found, rest] if rest else found


def _merged(parts: list[str], max_parts: int, limit: int) -> list[str]:
    while len(parts) > max_parts:
        sizes = [len(first) + len(second) for first, second in pairwise(parts)]
        at = min(range(len(sizes)), key=sizes.__getitem__)
        if sizes[at] + 1 > limit:
            break
        parts = [*parts[:at], f"{parts[at]}\n{parts[at + 1]}", *parts[at + 2 :]]
    return parts[:max_parts]


def split(text: str, max_parts: int = MAX_PARTS, limit: int = MAX_PART_CHARACTERS) -> tuple[str, ...]:
    """Return the bubbles of a text; links and codes that stand on a line of their own get their own bubble.

    Args:
        text: plain text.
        max_parts: most bubbles; what does not fit into them is left out at a sentence end.
        limit: most characters of one bubble; only a longer link exceeds it.
    """
    parts: list[str] = []
    for block in _blocks(text):
        parts.extend([block.text] if block.alone else _pieces(block.text, limit))
    return tuple(_merged(parts, max_parts, limit))


def render(text: str, max_parts: int = MAX_PARTS, limit: int = MAX_PART_CHARACTERS) -> tuple[str, tuple[str, ...]]:
    """Return the text as it will be read, and its bubbles."""
    parts = split(plain(text), max_parts, limit)
    return "\n".join(parts), parts


def whole_sentences(text: str) -> str:
    """Return `text` up to the end of its last whole sentence; empty when it has none."""
    stripped = text.rstrip()
    if not stripped or stripped[-1] in ".!?…":
        return stripped
    ends = [match.start() for match in _SENTENCE_END.finditer(stripped) if not _is_inside(stripped, match.start())]
    return stripped[: ends[-1]].rstrip() if ends else ""
