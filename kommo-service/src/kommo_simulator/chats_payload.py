"""The bodies of Chats API requests, strictly typed, and the rules their fields obey."""

from typing import Any, Literal

import msgspec

MessageType = Literal["text", "contact", "file", "video", "picture", "voice", "audio", "sticker", "location"]
_WITH_FILE = ("file", "video", "picture")


class PayloadError(Exception):
    """A payload that the Chats API does not accept."""


class Profile(msgspec.Struct, frozen=True):
    """How a person can be reached."""

    phone: str = ""
    email: str = ""


class Person(msgspec.Struct, frozen=True):
    """A sender or receiver; `ref_id` names a user or the bot of the account."""

    id: str
    name: str
    ref_id: str | None = None
    avatar: str | None = None
    profile: Profile = Profile()
    profile_link: str | None = None


class Source(msgspec.Struct, frozen=True):
    """One of the channel's sources."""

    external_id: str


class Location(msgspec.Struct, frozen=True):
    """A place."""

    lon: float
    lat: float


class Card(msgspec.Struct, frozen=True):
    """A contact card."""

    name: str
    phone: str


class StatusChange(msgspec.Struct, frozen=True):
    """A delivery status, as documented examples and working clients send it."""

    delivery_status: Literal[-1, 1, 2]
    msgid: str = ""
    error_code: int | None = None
    error: str | None = None


class Content(msgspec.Struct, frozen=True):
    """What a message says."""

    type: MessageType = "text"
    text: str = ""
    media: str = ""
    file_name: str = ""
    file_size: int = 0
    media_duration: int | None = None
    sticker_id: str | None = None
    location: Location | None = None
    contact: Card | None = None
    callback_data: str | None = None
    delivery_status: StatusChange | None = None


class Payload(msgspec.Struct, frozen=True):
    """The payload of new_message and edit_message."""

    timestamp: int
    msec_timestamp: int
    message: Content
    msgid: str = ""
    id: str = ""
    conversation_id: str | None = None
    conversation_ref_id: str | None = None
    source: Source | None = None
    silent: bool = False
    sender: Person | None = None
    receiver: Person | None = None
    reply_to: dict[str, Any] | None = None
    forwards: dict[str, Any] | None = None


class Event(msgspec.Struct, frozen=True):
    """The body of a request to the scope."""

    event_type: Literal["new_message", "edit_message"]
    payload: Payload


class Connect(msgspec.Struct, frozen=True):
    """The body of connect."""

    account_id: str
    title: str
    hook_api_version: str = "v1"
    is_time_window_disabled: bool = False


class Disconnect(msgspec.Struct, frozen=True):
    """The body of disconnect."""

    account_id: str


class NewChatUser(msgspec.Struct, frozen=True):
    """The client of a chat to create."""

    id: str
    name: str
    avatar: str = ""
    profile: Profile = Profile()
    profile_link: str | None = None


class NewChat(msgspec.Struct, frozen=True):
    """The body that creates a chat."""

    conversation_id: str
    user: NewChatUser
    source: Source | None = None


class Someone(msgspec.Struct, frozen=True):
    """A person named by either id."""

    id: str | None = None
    ref_id: str | None = None


class Typing(msgspec.Struct, frozen=True):
    """The body of typing."""

    conversation_id: str
    sender: Someone
    duration_ms: int = 5000


class Reaction(msgspec.Struct, frozen=True):
    """The body of react."""

    user: Someone
    type: Literal["react", "unreact"]
    conversation_id: str | None = None
    conversation_ref_id: str | None = None
    msgid: str | None = None
    id: str | None = None
    emoji: str = ""


def check_new_message(payload: Payload) -> Person:
    """Return the sender of a new message whose fields obey the rules.

    Raises:
        PayloadError: one of them does not.
    """
    content = payload.message
    if payload.sender is None:
        raise PayloadError("payload.sender is required")
    if not payload.msgid:
        raise PayloadError("payload.msgid is required")
    if not (payload.conversation_id or payload.conversation_ref_id):
        raise PayloadError("payload.conversation_id or conversation_ref_id is required")
    if content.type == "text" and not content.text:
        raise PayloadError("payload.message.text is required for text")
    if content.type in _WITH_FILE and not (content.media and content.file_name and content.file_size > 0):
        raise PayloadError(f"payload.message.media, file_name and file_size are required for {content.type}")
    if content.type == "location" and content.location is None:
        raise PayloadError("payload.message.location is required for location")
    if content.type == "contact" and content.contact is None:
        raise PayloadError("payload.message.contact is required for contact")
    if payload.source and not (0 < len(payload.source.external_id) <= 40 and payload.source.external_id.isascii()):
        raise PayloadError("payload.source.external_id is up to 40 printable ASCII characters")
    return payload.sender
