"""What is posted to the relay of an account's own channel, and what its answer means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_service.domain.channel import Channel
from kommo_service.domain.classification import Failure
from kommo_service.domain.outcomes import FinalOutcome, Reason, RetryLater, Sent, TellPerson, Unclear

RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 300.0
TYPING_MILLISECONDS = 8000
MAX_ID = 255
# Answers of a relay, or of what stands before it, that a later attempt may not get.
_PASSING = frozenset({408, 425, 429})
SIGNATURE_REFUSALS = frozenset({401, 403})
STATUSES = frozenset({"sent", "delivered", "read"})


@dataclass(frozen=True, slots=True)
class RelayMessage:
    """A message of the company for the relay.

    Args:
        media_type: what its file is; `text` where it has none.
    """

    delivery_id: str
    account_id: str
    conversation_id: str
    text: str
    is_person: bool = False
    author_name: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    media_type: str = "text"
    media_url: str = ""
    file_name: str = ""
    channel: Channel = Channel.OTHER
    kommo_message_ids: tuple[str, ...] = ()
    written_at: datetime | None = None
    start_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """What a relay answered: its status, how long it asks to wait, and the object of its body."""

    status: int
    retry_after: float = 0.0
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of a post; id and status are the relay's, and may be empty."""

    outcome: FinalOutcome
    message_id: str = ""
    status: str = ""


def message_body(message: RelayMessage, text: str, now: datetime) -> bytes:
    """Return the body of a message, the same on every attempt."""
    content: dict[str, Any] = {
        "type": "message",
        "id": message.delivery_id,
        "conversation_id": message.conversation_id,
        "contact": {"name": message.contact_name, "phone": message.contact_phone},
        "author": {"kind": "person" if message.is_person else "bot", "name": message.author_name},
        "timestamp": int((message.written_at or now).timestamp()),
        "text": text,
    }
    if message.media_url:
        content["media"] = {"type": message.media_type, "url": message.media_url, "file_name": message.file_name}
    return json.dumps(content, ensure_ascii=False).encode()


def typing_body(conversation_id: str) -> bytes:
    """Return the body that says that a reply is being written."""
    content = {"type": "typing", "conversation_id": conversation_id, "duration_ms": TYPING_MILLISECONDS}
    return json.dumps(content).encode()


def ping_body() -> bytes:
    """Return the body that asks whether the relay is there and knows the secret; nothing follows from it."""
    return b'{"type":"ping"}'


def of_relay(answer: RelayAnswer | Failure) -> Relayed:
    """Return what a relay's answer means for a message; it takes each id once, so that any repeat is harmless."""
    if isinstance(answer, Failure):
        is_left = answer is not Failure.NOT_CONNECTED
        reason = Reason.RELAY_TIMEOUT if answer is Failure.TIMED_OUT else Reason.RELAY_UNREACHABLE
        return Relayed(Unclear(RETRY_SECONDS, reason) if is_left else RetryLater(RETRY_SECONDS, reason))
    if 200 <= answer.status < 300:
        return _taken(answer.body or {})
    if 300 <= answer.status < 400:
        return Relayed(TellPerson(Reason.RELAY_MOVED))
    if 400 <= answer.status < 500 and answer.status not in _PASSING:
        is_signature = answer.status in SIGNATURE_REFUSALS
        return Relayed(TellPerson(Reason.RELAY_SIGNATURE_REFUSED if is_signature else Reason.RELAY_REFUSED))
    return Relayed(RetryLater(max(RETRY_SECONDS, answer.retry_after), Reason.RELAY_UNAVAILABLE))


def seconds_of(retry_after: str) -> float:
    """Return the seconds of a Retry-After header; 0 where it names none."""
    text = retry_after.strip()
    return min(float(text), LONGEST_RETRY_SECONDS) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _taken(body: Mapping[str, Any]) -> Relayed:
    message_id, status = body.get("message_id"), body.get("status")
    known_id = message_id if isinstance(message_id, str) and len(message_id) <= MAX_ID else ""
    known_status = status if isinstance(status, str) and status in STATUSES else ""
    return Relayed(Sent((known_id,) if known_id else ()), known_id, known_status)
