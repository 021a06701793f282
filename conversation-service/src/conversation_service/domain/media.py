"""What people read of the files that a client sent, and what a message gains that comes again with its file."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from kommomesh_runtime.media_links import shown_name

FALLBACK_LANGUAGE = "es"
TEXT = "text"
OTHER = "other"
MOST_DESCRIBED = 3
MOST_LINK_CHARACTERS = 500
MOST_TYPE_CHARACTERS = 100
MOST_WORDS = 280
_SPACES = re.compile(r"\s+")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_TEXTS = tomllib.loads((files("conversation_service.domain") / "media_texts.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Finding:
    """What the server of a file said of it; an unknown size is 0."""

    media_type: str = ""
    size_bytes: int = 0


NOTHING_FOUND = Finding()


@dataclass(frozen=True, slots=True)
class Media:
    """What a message carries beside its words.

    Args:
        kind: `picture`, `file` …
        link: where it is, if people may be led there.
        is_elsewhere: it has a link that nobody is led to.
    """

    kind: str
    file_name: str = ""
    link: str = ""
    is_elsewhere: bool = False
    finding: Finding = NOTHING_FOUND


@dataclass(frozen=True, slots=True)
class Stored:
    """What of a stored message a later copy may complete."""

    text: str
    content_type: str
    media_url: str
    file_name: str


def is_media(kind: str, text: str) -> bool:
    """Tell whether a message is more than its words; one without any counts, whatever it calls itself."""
    return kind != TEXT or not text.strip()


def size_text(size_bytes: int) -> str:
    """Return a size for people, such as `120 kB` or `1.4 MB`; empty when it is not known."""
    if size_bytes <= 0:
        return ""
    if size_bytes < 1_000_000:
        return f"{max(1, round(size_bytes / 1000))} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def described(media: Sequence[Media], language: str) -> str:
    """Return what was sent in one line: kind, name, type, size and link of each, of many the first three."""
    phrases = _phrases(language)
    parts = [_described(one, language) for one in media[:MOST_DESCRIBED]]
    if len(media) > MOST_DESCRIBED:
        parts.append(phrases["more"].format(count=len(media) - MOST_DESCRIBED))
    return "; ".join(parts)


def viewing(media: Sequence[Media], words: str, language: str) -> str:
    """Return what asks a person to look at something that a client sent.

    Args:
        media: what was sent; at least one.
        words: what the client wrote with it; may be empty.
        language: `es`, `pt` or `en`.
    """
    phrases = _phrases(language)
    line = _SPACES.sub(" ", words).strip()
    said = phrases["words"].format(text=line[:MOST_WORDS]) if line else ""
    return str(phrases["viewing"].format(media=described(media, language), words=said))


def unseen_reason(code: str, language: str) -> str:
    """Return why a person is called after a viewing that could not be written.

    Args:
        code: what Kommo said.
        language: `es`, `pt` or `en`.
    """
    return str(_phrases(language)["unseen"].format(code=code))


def completed(stored: Stored, copy: Stored) -> Stored | None:
    """Return a stored message with what a later copy of it adds; None when that is nothing.

    What is stored is never replaced, except a kind that says nothing: Kommo may report a file before it has it.

    Source: Kommo CRM webhooks: a message with media may come again under the same id once its file is there.
    """
    kind = stored.content_type
    if kind in (TEXT, OTHER) and not stored.media_url and copy.content_type not in (TEXT, OTHER):
        kind = copy.content_type
    found = Stored(
        text=stored.text if stored.text.strip() or not copy.text.strip() else copy.text,
        content_type=kind,
        media_url=stored.media_url or copy.media_url,
        file_name=stored.file_name or copy.file_name,
    )
    return None if found == stored else found


def _described(one: Media, language: str) -> str:
    kinds = _TEXTS["kinds"][_chosen(language)]
    media_type = one.finding.media_type if _MEDIA_TYPE.fullmatch(one.finding.media_type) else ""
    facts = ", ".join(fact for fact in (media_type, size_text(one.finding.size_bytes)) if fact)
    name = shown_name(one.file_name)
    told = f"{kinds.get(one.kind, kinds[OTHER])}{f' {name}' if name else ''}{f' ({facts})' if facts else ''}"
    if one.is_elsewhere or len(one.link) > MOST_LINK_CHARACTERS:
        return f"{told} ({_phrases(language)['elsewhere']})"
    return f"{told} {one.link}" if one.link else told


def _phrases(language: str) -> dict[str, str]:
    found: dict[str, str] = _TEXTS["phrases"][_chosen(language)]
    return found


def _chosen(language: str) -> str:
    return language if language in _TEXTS["phrases"] else FALLBACK_LANGUAGE
