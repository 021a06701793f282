"""Reads what the relay of an own channel posts: a message of the client, or how far one of the company's got."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gateway.domain.events import Channel, Chat, ClientMessage, Content, ContentType, unix_time
from gateway.domain.json_values import text_of

MAX_ID = 200
MAX_NAME = 255
MAX_PHONE = 40
MAX_TEXT = 16_384
MAX_URL = 2_048
MAX_ERROR = 500
MAX_FILE_SIZE = 2**40
# The relay's ids are not Kommo's, and must not pass for one of them.
PREFIX = "relay:"
MEDIA_TYPES = ("picture", "video", "voice", "audio", "file", "sticker")
# Source: Kommo Chats API, sending messages: these need the file's name and size.
WITH_SIZE = ("picture", "video", "file")
_URL = re.compile(r"https?://[^\s/?#@]+(/\S*)?")


class RelayPostError(Exception):
    """A post cannot be read.

    Args:
        field: where.
        problem: what is wrong, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")


class RelayStatus(StrEnum):
    """How far a message got."""

    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RelayedClientMessage:
    """What a client wrote at the messenger."""

    message: ClientMessage
    phone: str = ""
    file_size: int = 0


@dataclass(frozen=True, slots=True)
class RelayedStatus:
    """How far a message got that the mesh had posted to the relay."""

    delivery_id: UUID
    status: RelayStatus
    error: str = ""


RelayPost = RelayedClientMessage | RelayedStatus


def read_relay_post(body: Mapping[str, Any], origin: str, channel: Channel) -> RelayPost:
    """Return what a post says.

    Args:
        body: the decoded body.
        origin: what Kommo calls the origin of the channel's chats.
        channel: where the channel's clients read.

    Raises:
        RelayPostError: a field is missing, too long or of another kind.
    """
    kind = text_of(body.get("type")) or "message"
    if kind == "message":
        return _client_message(body, origin, channel)
    if kind == "status":
        return _status(body)
    raise RelayPostError("type", "is message or status")


def _client_message(body: Mapping[str, Any], origin: str, channel: Channel) -> RelayedClientMessage:
    contact = _object(body, "contact")
    chat = Chat(
        chat_id=_required(body, "conversation_id", MAX_ID),
        origin=origin,
        channel=channel,
        contact_name=_optional(contact, "name", MAX_NAME, within="contact."),
    )
    phone = _optional(contact, "phone", MAX_PHONE, within="contact.")
    content, file_size = _content(body)
    return RelayedClientMessage(ClientMessage(chat, content), phone, file_size)


def _content(body: Mapping[str, Any]) -> tuple[Content, int]:
    media = _object(body, "media")
    text = _optional(body, "text", MAX_TEXT)
    kind, size = _media(media) if media else (ContentType.TEXT, 0)
    if not text.strip() and not media:
        raise RelayPostError("text", "is required where there is no media")
    content = Content(
        message_id=PREFIX + _required(body, "message_id", MAX_ID),
        text=text,
        content_type=kind,
        media_url=text_of(media.get("url")).strip(),
        file_name=_optional(media, "file_name", MAX_NAME, within="media."),
        written_at=_written_at(body),
    )
    return content, size


def _media(media: Mapping[str, Any]) -> tuple[ContentType, int]:
    kind, url, size = text_of(media.get("type")), text_of(media.get("url")).strip(), media.get("size", 0)
    if kind not in MEDIA_TYPES:
        raise RelayPostError("media.type", f"is one of {', '.join(MEDIA_TYPES)}")
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise RelayPostError("media.url", f"is an http or https address of at most {MAX_URL} characters")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FILE_SIZE:
        raise RelayPostError("media.size", "is a number of bytes")
    if kind in WITH_SIZE and not (size and text_of(media.get("file_name"))):
        raise RelayPostError("media", f"needs file_name and size for a {kind}: Kommo asks for both")
    return ContentType(kind), size


def _written_at(body: Mapping[str, Any]) -> datetime | None:
    text = text_of(body.get("timestamp"))
    found = unix_time(text)
    if text and found is None:
        raise RelayPostError("timestamp", "is a time in unix seconds or milliseconds")
    return found


def _status(body: Mapping[str, Any]) -> RelayedStatus:
    try:
        delivery_id = UUID(text_of(body.get("id")))
    except ValueError:
        raise RelayPostError("id", "is the id of a message that was posted to the relay") from None
    status = text_of(body.get("status"))
    if status not in tuple(RelayStatus):
        raise RelayPostError("status", f"is one of {', '.join(RelayStatus)}")
    return RelayedStatus(delivery_id, RelayStatus(status), text_of(body.get("error"))[:MAX_ERROR])


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise RelayPostError(name, "is an object")
    return found


def _required(body: Mapping[str, Any], name: str, most: int) -> str:
    found = _optional(body, name, most).strip()
    if not found:
        raise RelayPostError(name, "is required")
    return found


def _optional(body: Mapping[str, Any], name: str, most: int, within: str = "") -> str:
    found = text_of(body.get(name))
    if len(found) > most:
        raise RelayPostError(within + name, f"has at most {most} characters")
    return found
