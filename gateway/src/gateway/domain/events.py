"""What arrives from Kommo, as values that no longer show how they were encoded."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

MAX_EVENTS = 500
MAX_ID_LENGTH = 256
FIRST_MILLISECONDS = 100_000_000_000
LAST_SECONDS = 253_402_300_799


class Channel(StrEnum):
    """Where the client writes."""

    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"
    TELEGRAM = "telegram"
    FACEBOOK = "facebook"
    OTHER = "other"


class ContentType(StrEnum):
    """What a message is made of."""

    TEXT = "text"
    CONTACT = "contact"
    FILE = "file"
    VIDEO = "video"
    PICTURE = "picture"
    VOICE = "voice"
    AUDIO = "audio"
    STICKER = "sticker"
    LOCATION = "location"
    OTHER = "other"


class AuthorKind(StrEnum):
    """Who wrote for the company."""

    PERSON = "person"
    BOT = "bot"


class IgnoreReason(StrEnum):
    """Why an event was not stored; each is counted, in the answer and in the metrics."""

    UNSORTED_COPY = "unsorted_copy"
    UNSORTED_EVENT = "unsorted_event"
    NOTE = "note"
    LEAD_EVENT = "lead_event"
    CONTACT_EVENT = "contact_event"
    COMPANY_EVENT = "company_event"
    TASK_EVENT = "task_event"
    TEMPLATE_REVIEW = "template_review"
    MESSAGE_CHANGE = "message_change"
    TALK_CHANGE = "talk_change"
    UNKNOWN_EVENT = "unknown_event"
    MISSING_MESSAGE_ID = "missing_message_id"
    MISSING_CHAT_ID = "missing_chat_id"
    ID_TOO_LONG = "id_too_long"
    TYPING = "typing"
    REACTION = "reaction"
    DEAD_HOOK_VERSION = "dead_hook_version"
    MALFORMED_PAIR = "malformed_pair"
    REPEATED_PAIR = "repeated_pair"
    MALFORMED_ITEM = "malformed_item"
    DUPLICATE = "duplicate"
    MIRRORED_COPY = "mirrored_copy"
    REJECTED_BY_STORAGE = "rejected_by_storage"
    BOT_WITHOUT_LEAD = "bot_without_lead"
    RETURN_URL_REFUSED = "return_url_refused"


@dataclass(frozen=True, slots=True)
class Chat:
    """The conversation an event belongs to; fields that the event does not carry are empty."""

    chat_id: str
    origin: str
    channel: Channel
    talk_id: str = ""
    contact_id: str = ""
    lead_id: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    # What the owner of an own channel calls the chat that Kommo calls `chat_id`.
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, and when by Kommo's clock (None: it does not say)."""

    message_id: str
    text: str
    content_type: ContentType
    media_url: str = ""
    file_name: str = ""
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """The client wrote."""

    chat: Chat
    content: Content


@dataclass(frozen=True, slots=True)
class CompanyMessage:
    """The company wrote: a person of it, or a bot; `is_for_owner` where the channel's owner is asked to deliver it."""

    chat: Chat
    content: Content
    author_kind: AuthorKind
    author_id: str = ""
    author_name: str = ""
    is_for_owner: bool = False


@dataclass(frozen=True, slots=True)
class TalkEvent:
    """A talk was opened, changed or closed."""

    chat: Chat
    is_closed: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SalesbotWait:
    """A Salesbot of a lead waits to be told, at `return_url` and until `ends_at`, how to go on."""

    lead_id: str
    return_url: str
    ends_at: datetime


Event: TypeAlias = ClientMessage | CompanyMessage | TalkEvent | SalesbotWait


class EventsError(Exception):
    """The body as a whole is refused.

    Args:
        code: what is wrong, such as `not_json` or `too_many_events`.
        is_too_large: whether the body is beyond a limit of size rather than malformed.
    """

    def __init__(self, code: str, *, is_too_large: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_too_large = is_too_large


@dataclass(slots=True)
class Intake:
    """What one webhook brought: the events to store, in order, and the count of those to ignore by reason."""

    events: list[Event] = field(default_factory=list)
    ignored: Counter[IgnoreReason] = field(default_factory=Counter)

    def ignore(self, reason: IgnoreReason, count: int = 1) -> None:
        """Count what is ignored for a reason."""
        if count:
            self.ignored[reason] += count

    def add(self, found: Event | IgnoreReason) -> None:
        """Take an event, or count the reason for which it is ignored.

        Raises:
            EventsError: the webhook brings more events than one call may store.
        """
        if isinstance(found, IgnoreReason):
            self.ignored[found] += 1
            return
        if len(self.events) == MAX_EVENTS:
            raise EventsError("too_many_events", is_too_large=True)
        self.events.append(found)


def unix_time(value: str) -> datetime | None:
    """Return the time that decimal text names, in seconds or, from 10¹¹ on, in milliseconds.

    Returns:
        None for anything else, and for what lies before 1970 or after 9999.
    """
    if not (value.isascii() and value.isdigit() and len(value) <= 15):
        return None
    number = int(value)
    seconds = number / 1000 if number >= FIRST_MILLISECONDS else float(number)
    if not 0 < seconds <= LAST_SECONDS:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def missing_id(chat_id: str, message_id: str) -> IgnoreReason | None:
    """Return why a message with these ids cannot be stored; None when it can."""
    if not message_id:
        return IgnoreReason.MISSING_MESSAGE_ID
    if not chat_id:
        return IgnoreReason.MISSING_CHAT_ID
    if max(len(chat_id), len(message_id)) > MAX_ID_LENGTH:
        return IgnoreReason.ID_TOO_LONG
    return None
