"""The last look at a text before it leaves: no Markdown, and no piece longer than the transport takes."""

import re
import unicodedata
from collections.abc import Sequence

from kommo_service.domain.channel import Channel

# Kommo does not say how long a text may be; this is known to work everywhere.
TALK_MESSAGE_LIMIT = 1000
# The hard limit of WhatsApp.
OWN_CHANNEL_LIMIT = 4096
# Of one text that a Salesbot is told to show.
SHOW_LIMIT = 80

_URL = re.compile(r"(https?://[^\s)\]]+)")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$\n?", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:-{3,}|\*{3,}|_{3,})[ \t]*$\n?", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$", re.MULTILINE)
# "> 10 units" says more than ten, so only words are taken for a quotation.
_QUOTE = re.compile(r"^[ \t]{0,3}>[ \t]?(?=[^\W\d])", re.MULTILINE)
_BULLET = re.compile(r"^([ \t]*)[-*][ \t]+(?=\S)", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\((https?://[^\s)]+)(?:[ \t]+\"[^\"\n]*\")?\)")
_STRONG = re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*])|(?<!\w)__(?=\S)([^_\n]+?)(?<=\S)__(?!\w)")
_STRUCK = re.compile(r"(?<!\w)~~(?=\S)([^~\n]+?)(?<=\S)~~(?!\w)")
_CODE = re.compile(r"`{1,2}([^`\n]+)`{1,2}")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_BLANK_LINES = re.compile(r"\n{3,}")
# Best place to cut first: between paragraphs, after a sentence (not after "Av."), between lines, between words.
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n\s*\n",
        r"(?:(?<=[^\s.]{3}\.)|(?<=[!?…]))[\"'»”)\]]*\s+",
        r"\n",
        r"\s+",
    )
)
_MONEY = r"US\$|U\$S|R\$|\$U?|€|£|ARS|USD|EUR|BRL|UYU|CLP|MXN"
_MEASURE = r"%|[x×]|pesos|d[oó]lares|reais|euros|ARS|USD|EUR|BRL|kg|gr?|ml|cc|cm|mm|km|m|l|hs?|min"
_ENDED = rf"(?=(?:{_MEASURE})?(?!\w))"
# What means nothing, or something else, when it is cut: addresses, prices, phone numbers, amounts, codes.
_UNIT = re.compile(
    r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.-]+"
    rf"|(?:(?:{_MONEY})[ \u00a0]?)?\+?\d++{_ENDED}(?:(?:[ \u00a0][.,:/-]?|[.,:/-])\d++{_ENDED})*"
    rf"(?:[ \u00a0]?(?:{_MEASURE})(?!\w))?"
    r"|\b(?=[A-Z0-9._/-]*\d)[A-Z0-9][A-Z0-9._/-]{4,39}(?!\w)",
    re.IGNORECASE,
)
_JOINERS = frozenset("\u200d\u20e3")
_FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))


def render(text: str, channel: Channel) -> str:
    """Return a text as a client reads it on the channel: plain, with no mark that would show.

    WhatsApp knows `*bold*` and `_italic_`, so those stay there. A text of nothing but marks stays as it is.
    """
    plain = _QUOTE.sub("", _HEADING.sub(r"\1", _RULE.sub("", _FENCE.sub("", text.replace("\r\n", "\n")))))
    plain = _BULLET.sub(r"\1• ", _LINK.sub(_link_text, plain))
    parts = _URL.split(plain)
    parts[::2] = [_without_marks(part, channel) for part in parts[::2]]
    rendered = _BLANK_LINES.sub("\n\n", "".join(parts)).strip()
    return rendered or text.strip()


def split(text: str, limit: int) -> Sequence[str]:
    """Return the pieces of a text, cut at the ends of sentences where there are any; always the same ones.

    No address, price, number or sign is cut in two, unless it is longer than a piece by itself.

    Args:
        text: what to cut.
        limit: most characters of a piece.
    """
    pieces = []
    rest = text.strip()
    while len(rest) > limit:
        end = _cut(rest, limit)
        pieces.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*pieces, rest] if rest else pieces


def is_cuttable(text: str, limit: int) -> bool:
    """Tell whether a text can be cut into pieces without cutting an address, a price or a number."""
    return all(found.end() - found.start() <= limit for found in _UNIT.finditer(text))


def normalized(text: str) -> str:
    """Return a text as two copies of it compare: composed, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _link_text(found: re.Match[str]) -> str:
    label, url = found.group(1).strip(), found.group(2)
    return url if not label or label == url else f"{label}: {url}"


def _without_marks(text: str, channel: Channel) -> str:
    text = _CODE.sub(r"\1", _STRUCK.sub(r"\1", text))
    if channel is Channel.WHATSAPP:
        return _STRONG.sub(lambda found: f"*{found.group(1) or found.group(2)}*", text)
    return _EMPHASIS.sub(_marked, _STRONG.sub(_marked, text))


def _marked(found: re.Match[str]) -> str:
    return found.group(1) or found.group(2)


def _cut(text: str, limit: int) -> int:
    whole = [found.span() for found in _UNIT.finditer(text, 0, 2 * limit) if found.end() - found.start() <= limit]
    inside = {index for start, end in whole for index in range(start + 1, end)}
    for place in _PLACES:
        starts = (found.start() for found in place.finditer(text, 0, limit + 2))
        ends = [start for start in starts if 0 < start <= limit and start not in inside]
        # A cut very early would leave a bubble of one word: better a lesser place further on.
        if ends and (ends[-1] >= limit // 3 or place is _PLACES[-1]):
            return ends[-1]
    end = limit
    while end > 1 and (end in inside or _belongs_to_previous(text, end)):
        end -= 1
    return end if end > 1 else limit


def _belongs_to_previous(text: str, index: int) -> bool:
    """Tell whether a character is part of the sign before it, as the parts of an emoji or of a flag are."""
    character, before = text[index], text[index - 1]
    if _is_flag_half(character) and _is_flag_half(before):
        run = len(text[:index]) - len(text[:index].rstrip(_FLAG_HALVES))
        return run % 2 == 1
    is_modifier = unicodedata.category(character) in ("Mn", "Mc", "Me") or 0x1F3FB <= ord(character) <= 0x1F3FF
    is_tag = 0xE0020 <= ord(character) <= 0xE007F
    return is_modifier or is_tag or character in _JOINERS or before == "\u200d"


def _is_flag_half(character: str) -> bool:
    return character in _FLAG_HALVES
