"""The things a Kommo account holds: contacts, leads, chats, talks, messages, notes and tasks."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AuthorType(StrEnum):
    """Who wrote a message, as Kommo spells it."""

    EXTERNAL = "external"
    INTERNAL = "internal"
    BOT = "bot"


class DeliveryStatus(StrEnum):
    """How far an outgoing message got."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    ERROR = "error"


class Via(StrEnum):
    """The way a message entered the account."""

    CLIENT = "client"
    INBOX = "inbox"
    PHONE = "phone"
    TALK_MESSAGE = "talk_message"
    OWN_CHANNEL = "own_channel"
    SALESBOT = "salesbot"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the account; `amojo_id` is None until the user opens the chats."""

    id: int
    name: str
    amojo_id: str | None


@dataclass(frozen=True, slots=True)
class Author:
    """The author of one message."""

    type: AuthorType
    id: str
    name: str
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """The file of a media message."""

    type: str
    link: str
    file_name: str
    file_size: int = 0


@dataclass(slots=True)
class Contact:
    """A contact card."""

    id: int
    name: str
    created_at: int
    updated_at: int
    phone: str = ""
    email: str = ""
    responsible_user_id: int | None = None
    tags: list[dict[str, Any]] = field(default_factory=list)
    custom_fields_values: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class Lead:
    """A lead of one contact."""

    id: int
    name: str
    contact_id: int
    pipeline_id: int
    status_id: int
    created_at: int
    updated_at: int
    price: int = 0
    responsible_user_id: int | None = None
    tags: list[dict[str, Any]] = field(default_factory=list)
    custom_fields_values: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class Chat:
    """A client on a channel; `conversation_id` is set for chats of the own channel.

    An adopted chat stands in for one that the simulator never saw.
    """

    id: str
    origin: str
    contact_id: int
    lead_id: int | None
    client_id: str
    client_name: str
    created_at: int
    conversation_id: str | None = None
    client_external_id: str | None = None
    source_external_id: str | None = None
    is_adopted: bool = False
    talk_ids: list[int] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Talk:
    """One stretch of a chat, from its opening to its close."""

    id: int
    chat_id: str
    created_at: int
    updated_at: int
    is_in_work: bool = True
    is_read: bool = False


@dataclass(slots=True)
class Message:
    """One message of a chat; `sequence` orders messages of the same second."""

    id: str
    sequence: int
    chat_id: str
    talk_id: int
    text: str
    message_type: str
    created_at: int
    author: Author
    via: Via
    attachment: Attachment | None = None
    delivery_status: DeliveryStatus | None = None
    client_msgid: str | None = None
    reactions: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_outgoing(self) -> bool:
        """True for a message of the company."""
        return self.author.type is not AuthorType.EXTERNAL


@dataclass(frozen=True, slots=True)
class Note:
    """A note on a lead or a contact."""

    id: int
    entity_type: str
    entity_id: int
    note_type: str
    params: dict[str, Any]
    created_by: int
    created_at: int


@dataclass(slots=True)
class Task:
    """A task for a user."""

    id: int
    text: str
    complete_till: int
    entity_id: int | None
    entity_type: str | None
    task_type_id: int
    responsible_user_id: int
    created_at: int
    is_completed: bool = False
