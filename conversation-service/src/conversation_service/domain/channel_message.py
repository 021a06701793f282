"""Messages between an account's relay and its own channel in Kommo: what they are beside their text."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class RelayStatus(StrEnum):
    """How far a message got at the messenger."""

    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RelayRequest:
    """A signed request of a relay, and its arrival here; only the gateway repeats an arrival."""

    request_id: UUID
    arrival_id: UUID


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    """The details of a delivery of kind relay or mirror.

    Args:
        written_at: when it was written; None where nobody said.
        is_person: a person of the company wrote it.
        kommo_message_ids: Kommo's ids of it; empty for what Kommo has not got yet.
        speaker: who must still have the floor when it is relayed; empty for a person's words, which always leave.
        source_id: the delivery that brought it into Kommo; empty for a person's words.
        is_answer: client messages are answered by it.
        status: what Kommo is to be told of those ids, where it is no message.
        error: why they failed, for people.
    """

    content_type: str = "text"
    media_url: str = ""
    file_name: str = ""
    file_size: int = 0
    written_at: datetime | None = None
    is_person: bool = False
    author_name: str = ""
    kommo_message_ids: tuple[str, ...] = ()
    speaker: str = ""
    source_id: str = ""
    is_answer: bool = False
    status: RelayStatus | None = None
    error: str = ""
