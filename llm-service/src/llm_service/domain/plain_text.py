"""Markdown turned into the plain text that chat apps show as it is."""

import re

URL = re.compile(r"https?://[^\s<>()\[\]]+[^\s<>()\[\].,;:!?¡¿\"'»]")

_FENCE = re.compile(r"^\s*(```|~~~).*$\n?", re.MULTILINE)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
_RULE = re.compile(r"^\s{0,3}(?:[-*_]\s*){3,}$\n?", re.MULTILINE)
_QUOTE = re.compile(r"^\s{0,3}>\s?", re.MULTILINE)
_BULLET = re.compile(r"^(\s*)[-*+]\s+", re.MULTILINE)
_TABLE_RULE = re.compile(r"^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*:?-*:?\s*$\n?", re.MULTILINE)
_TABLE_ROW = re.compile(r"^\s*\|(.+)\|\s*$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\(\s*<?([^\s)>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|p|code|ul|ol|li|h[1-6])>", re.IGNORECASE)
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_STRIKE = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
_CODE = re.compile(r"`+([^`\n]+)`+")
_BLANK_LINES = re.compile(r"\n{3,}")


def _link_text(match: re.Match[str]) -> str:
    label, target = match[1].strip(), match[2]
    return target if not label or label == target else f"{label}: {target}"


def _without_emphasis(text: str) -> str:
    text = _STRONG.sub(r"\2", text)
    text = _EMPHASIS.sub(lambda match: match[1] or match[2], text)
    return _CODE.sub(r"\1", _STRIKE.sub(r"\1", text))


def _outside_links(text: str) -> str:
    # A link may hold underscores and stars that are no emphasis: it is put aside while emphasis goes.
    links = URL.findall(text)
    held = URL.sub("\x00", text)
    parts = iter(links)
    return re.sub("\x00", lambda _: next(parts, ""), _without_emphasis(held))


def plain(text: str) -> str:
    """Return `text` without Markdown and simple HTML; order numbers such as `#123` stay."""
    text = text.replace("\r\n", "\n").replace("\x00", "")
    for pattern in (_FENCE, _TABLE_RULE, _RULE, _HEADING, _QUOTE):
        text = pattern.sub("", text)
    text = _TABLE_ROW.sub(lambda row: " · ".join(cell.strip() for cell in row[1].split("|")), text)
    text = _TAG.sub("", _BREAK.sub("\n", _LINK.sub(_link_text, text)))
    text = _outside_links(_BULLET.sub(r"\1• ", text))
    lines = [line.rstrip() for line in text.split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
