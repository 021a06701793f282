"""What goes between Kommo and an account's relay: which delivery follows from a message, each with one id for ever."""

import tomllib
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files
from uuid import NAMESPACE_URL, UUID, uuid5

from conversation_service.domain.channel_message import ChannelMessage, RelayRequest, RelayStatus
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from conversation_service.domain.ingest import CompanyMessage, Content
from conversation_service.domain.proof import Proof, ProofState, Sign, after_sign, new_proof

OWN_CHANNEL = "own_channel"
RELAY = "relay"
RELAY_FAILED = "relay_failed"
_TEXTS = tomllib.loads((files("conversation_service.domain") / "relay_texts.toml").read_text(encoding="utf-8"))
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kommomesh:relay")
_SEEN_AS = {
    RelayStatus.DELIVERED: ProofState.DELIVERED,
    RelayStatus.READ: ProofState.READ,
    RelayStatus.FAILED: ProofState.FAILED,
}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a relay says of a message that was posted to it."""

    account_id: str
    delivery_id: UUID
    status: RelayStatus
    error: str = ""
    request: RelayRequest | None = None


def mirror_of(
    conversation: Conversation, message_id: UUID, content: Content, written_at: datetime, now: datetime
) -> Delivery:
    """Return what puts a message of the client into Kommo; its sequence is still to be given."""
    details = ChannelMessage(
        content_type=content.content_type,
        media_url=content.media_url,
        file_name=content.file_name,
        file_size=content.file_size,
        written_at=written_at,
    )
    return _blank(conversation, f"mirror/{message_id}", DeliveryKind.MIRROR, content.text, details, now)


def relay_of_company(
    conversation: Conversation, message: CompanyMessage, written_at: datetime, now: datetime
) -> Delivery:
    """Return what brings a message that was written in Kommo to the relay; its sequence is still to be given."""
    content = message.content
    details = ChannelMessage(
        content_type=content.content_type,
        media_url=content.media_url,
        file_name=content.file_name,
        written_at=written_at,
        is_person=message.is_person,
        author_name=message.author_name if message.is_person else "",
        kommo_message_ids=(content.kommo_message_id,),
    )
    name = f"company/{conversation.account_id}/{content.kommo_message_id}"
    return _blank(conversation, name, DeliveryKind.RELAY, content.text, details, now)


def relay_of_bot(conversation: Conversation, source: Delivery, now: datetime) -> Delivery:
    """Return what brings the bot's words, which Kommo has, to the relay; its sequence is still to be given.

    They leave under the floor of the delivery that brought them to Kommo.
    """
    details = ChannelMessage(
        written_at=now,
        kommo_message_ids=source.kommo_message_ids,
        speaker="bot" if source.kind is DeliveryKind.REPLY else "person_waiting",
        source_id=str(source.id),
        is_answer=source.is_answer,
    )
    relay = _blank(conversation, f"bot/{source.id}", DeliveryKind.RELAY, source.text, details, now)
    return replace(
        relay,
        turn_id=source.turn_id,
        floor_number=source.floor_number,
        forced=source.forced,
        first_unread_at=source.first_unread_at,
    )


def status_of(
    conversation: Conversation, relayed: Delivery, status: RelayStatus, error: str, now: datetime
) -> Delivery | None:
    """Return what tells Kommo how far a relayed message got; None where Kommo knows no id of it."""
    message = relayed.details
    if not isinstance(message, ChannelMessage) or not message.kommo_message_ids:
        return None
    details = ChannelMessage(kommo_message_ids=message.kommo_message_ids, status=status, error=error)
    return _blank(conversation, f"status/{relayed.id}/{status.value}", DeliveryKind.MIRROR, "", details, now)


def is_message(delivery: Delivery) -> bool:
    """Tell whether a delivery between Kommo and relay carries words or a file, and not a status."""
    return not (isinstance(delivery.details, ChannelMessage) and delivery.details.status is not None)


def unmirrored_reason(code: str, language: str) -> str:
    """Return, for people, that nobody in Kommo can see what a client wrote.

    Args:
        code: why.
        language: `es`, `pt` or `en`.
    """
    return str(_TEXTS["unmirrored"][language].format(code=code))


def proof_after(proof: Proof | None, status: RelayStatus | None, reason: str, now: datetime) -> Proof:
    """Return what is known of the bot's words once the relay has taken them, or has said how far they got."""
    known = proof or new_proof(OWN_CHANNEL, now)
    state = ProofState.ACCEPTED if status is None else _SEEN_AS[status]
    return after_sign(known, Sign(state, RELAY, reason), now)


def _blank(
    conversation: Conversation, name: str, kind: DeliveryKind, text: str, details: ChannelMessage, now: datetime
) -> Delivery:
    return Delivery(
        id=uuid5(_NAMESPACE, name),
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        turn_id=None,
        sequence=0,
        kind=kind,
        state=DeliveryState.PENDING,
        text=text,
        floor_number=conversation.floor.number,
        created_at=now,
        first_unread_at=now,
        details=details,
    )
