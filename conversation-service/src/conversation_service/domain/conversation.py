"""Conversations and their messages, as the mesh keeps them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from conversation_service.domain.floor import Floor
from conversation_service.domain.media import NOTHING_FOUND, Finding
from conversation_service.domain.proof import Proof
from kommomesh_runtime.errors import FailedPrecondition, NotFound

# Why a client message was handed to a person without a turn.
PERSON_HAS_FLOOR = "person_has_floor"


class ConversationNotFound(NotFound):
    """No conversation has the id."""

    reason = "CONVERSATION_NOT_FOUND"
    text = "conversation {conversation_id} does not exist"


class RequestIdReused(FailedPrecondition):
    """The request id was used for another request."""

    reason = "REQUEST_ID_REUSED"
    text = "request id {request_id} was used for another request"


class Role(StrEnum):
    """Who said a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    AGENT = "agent"


class Outcome(StrEnum):
    """What became of a client message."""

    ANSWERED = "answered"
    HANDED_TO_PERSON = "handed_to_person"
    NOT_ANSWERED = "not_answered"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One chat of a client with the business; unknown texts are empty.

    Args:
        chat_id: Kommo's id of the chat; of an account with a relay, the relay's.
        chat_ref_id: Kommo's id where `chat_id` is the relay's; empty for others, and until it is known.
        talk_event_at: time of the event that named `talk_id`, by Kommo's clock.
        delivery_sequence: the highest sequence given to a delivery.
    """

    id: UUID
    account_id: str
    chat_id: str
    talk_id: str
    talk_event_at: datetime | None
    contact_id: str
    lead_id: str
    phone: str
    contact_name: str
    contact_email: str
    message_count: int
    bot_message_count: int
    user_message_count: int
    last_message_at: datetime
    last_bot_response_at: datetime | None
    channel: str
    origin: str
    tags: tuple[str, ...]
    floor: Floor
    delivery_sequence: int
    created_at: datetime
    updated_at: datetime
    chat_ref_id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; unknown texts are empty.

    Args:
        created_at: when its sender wrote it, by the sender's clock.
        ingested_at: when it was stored.
        finding: what is known of its file.
        proof: whether the client has it, for one that the mesh sent; only in lists.
    """

    id: UUID
    conversation_id: UUID
    kommo_message_id: str
    role: Role
    content: str
    content_type: str
    media_url: str
    file_name: str
    intent: str
    sentiment: str
    confidence_score: float
    outcome: Outcome | None
    outcome_reason: str
    turn_id: UUID | None
    created_at: datetime
    ingested_at: datetime
    finding: Finding = NOTHING_FOUND
    proof: Proof | None = None
