"""Values of the domain as messages of the contract, and names as enums."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from conversation_service.domain.conversation import Conversation, Message, Outcome, Role
from conversation_service.domain.floor import Holder, Priority, Status
from conversation_service.domain.proof import Proof, ProofState
from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh_runtime.parsing import from_time

STATUS = {
    Status.ACTIVE: pb.CONVERSATION_STATUS_ACTIVE,
    Status.ESCALATED: pb.CONVERSATION_STATUS_ESCALATED,
    Status.RESOLVED: pb.CONVERSATION_STATUS_RESOLVED,
    Status.CLOSED: pb.CONVERSATION_STATUS_CLOSED,
}
HOLDER = {
    Holder.BOT: pb.FLOOR_HOLDER_BOT,
    Holder.PERSON_WAITING: pb.FLOOR_HOLDER_PERSON_WAITING,
    Holder.PERSON: pb.FLOOR_HOLDER_PERSON,
}
OUTCOME = {
    Outcome.ANSWERED: pb.MESSAGE_OUTCOME_ANSWERED,
    Outcome.HANDED_TO_PERSON: pb.MESSAGE_OUTCOME_HANDED_TO_PERSON,
    Outcome.NOT_ANSWERED: pb.MESSAGE_OUTCOME_NOT_ANSWERED,
}
ROLE = {
    Role.USER: common_pb.ROLE_USER,
    Role.ASSISTANT: common_pb.ROLE_ASSISTANT,
    Role.SYSTEM: common_pb.ROLE_SYSTEM,
    Role.AGENT: common_pb.ROLE_AGENT,
}
PRIORITY = {
    Priority.LOW: common_pb.PRIORITY_LOW,
    Priority.MEDIUM: common_pb.PRIORITY_MEDIUM,
    Priority.HIGH: common_pb.PRIORITY_HIGH,
    Priority.CRITICAL: common_pb.PRIORITY_CRITICAL,
}
STATUS_OF: dict[int, Status] = {number: status for status, number in STATUS.items()}
PRIORITY_OF: dict[int, Priority] = {number: priority for priority, number in PRIORITY.items()}
PROOF_STATE = {
    ProofState.ACCEPTED: pb.PROOF_STATE_ACCEPTED,
    ProofState.DELIVERED: pb.PROOF_STATE_DELIVERED,
    ProofState.READ: pb.PROOF_STATE_READ,
    ProofState.FAILED: pb.PROOF_STATE_FAILED,
}


def _names(values: Iterable[tuple[str, int]], prefix: str) -> dict[int, str]:
    return {number: name.removeprefix(prefix).lower() for name, number in values if number}


# Stored names by number, and back; a number or name of a later release means nothing here.
CHANNEL_NAMES = _names(common_pb.Channel.items(), "CHANNEL_")
CONTENT_TYPE_NAMES = _names(common_pb.ContentType.items(), "CONTENT_TYPE_")
CHANNELS: dict[str, Any] = {name: number for number, name in CHANNEL_NAMES.items()}
CONTENT_TYPES: dict[str, Any] = {name: number for number, name in CONTENT_TYPE_NAMES.items()}


def channel_to_proto(name: str) -> Any:
    """Return the channel of a stored name; one that is not known is another one."""
    if not name:
        return common_pb.CHANNEL_UNSPECIFIED
    return CHANNELS.get(name, common_pb.CHANNEL_OTHER)


def priority_from_proto(number: int) -> Priority:
    """Return the priority; medium where none is said."""
    return PRIORITY_OF.get(number, Priority.MEDIUM)


def conversation_to_proto(
    conversation: Conversation, unread_count: int, reminder_at: datetime | None = None
) -> pb.Conversation:
    """Return a conversation for the wire; the number and the time are not stored in it."""
    floor = conversation.floor
    last_message_at = conversation.last_message_at if conversation.message_count else None
    return pb.Conversation(
        id=str(conversation.id),
        account_id=conversation.account_id,
        chat_id=conversation.chat_id,
        talk_id=conversation.talk_id,
        contact_id=conversation.contact_id,
        lead_id=conversation.lead_id,
        contact_name=conversation.contact_name,
        phone=conversation.phone,
        contact_email=conversation.contact_email,
        channel=channel_to_proto(conversation.channel),
        origin=conversation.origin,
        status=STATUS[floor.status],
        floor=pb.Floor(
            holder=HOLDER[floor.holder],
            number=floor.number,
            change_time=from_time(floor.changed_at),
            is_failure=floor.is_failure,
        ),
        message_count=conversation.message_count,
        bot_message_count=conversation.bot_message_count,
        user_message_count=conversation.user_message_count,
        unread_count=unread_count,
        last_message_time=from_time(last_message_at),
        last_bot_response_time=from_time(conversation.last_bot_response_at),
        escalate_time=from_time(floor.escalated_at),
        resolve_time=from_time(floor.resolved_at),
        escalation_reason=floor.reason,
        escalation_priority=PRIORITY[floor.priority] if floor.priority else common_pb.PRIORITY_UNSPECIFIED,
        assigned_to=floor.assigned_to,
        tags=conversation.tags,
        create_time=from_time(conversation.created_at),
        update_time=from_time(conversation.updated_at),
        reminder_time=from_time(reminder_at),
    )


def proof_to_proto(proof: Proof | None) -> pb.Proof | None:
    """Return a proof for the wire; None stays None."""
    if proof is None:
        return None
    return pb.Proof(
        state=PROOF_STATE[proof.state],
        source=proof.source,
        reason=proof.reason,
        prove_time=from_time(proof.proved_at),
    )


def message_to_proto(message: Message) -> pb.Message:
    """Return a message for the wire."""
    return pb.Message(
        id=str(message.id),
        conversation_id=str(message.conversation_id),
        kommo_message_id=message.kommo_message_id,
        role=ROLE[message.role],
        content=message.content,
        content_type=CONTENT_TYPES.get(message.content_type, common_pb.CONTENT_TYPE_OTHER),
        media_url=message.media_url,
        file_name=message.file_name,
        intent=message.intent,
        sentiment=message.sentiment,
        confidence_score=message.confidence_score,
        outcome=OUTCOME[message.outcome] if message.outcome else pb.MESSAGE_OUTCOME_UNSPECIFIED,
        outcome_reason=message.outcome_reason,
        turn_id=str(message.turn_id) if message.turn_id else "",
        create_time=from_time(message.created_at),
        ingest_time=from_time(message.ingested_at),
        media_type=message.finding.media_type,
        media_size_bytes=message.finding.size_bytes,
        proof=proof_to_proto(message.proof),
    )
