"""Rows of messages: read, list, decide what became of them."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from conversation_service.adapters.delivery_values import proof_of
from conversation_service.adapters.media_rows import finding_of
from conversation_service.adapters.tables import DELIVERIES, MESSAGES
from conversation_service.domain.conversation import PERSON_HAS_FLOOR, Message, Outcome, Role

M = MESSAGES.c
PROOF_COLUMNS = (
    DELIVERIES.c.proof_state,
    DELIVERIES.c.proof_source,
    DELIVERIES.c.proof_reason,
    DELIVERIES.c.proved_at,
)

HAND_UNREAD = (
    update(MESSAGES)
    .where(
        M.conversation_id.in_(bindparam("ids", expanding=True)),
        M.role == Role.USER.value,
        M.outcome.is_(None),
        M.turn_id.is_(None),
    )
    .values(outcome=Outcome.HANDED_TO_PERSON.value, outcome_reason=bindparam("reason"))
)


def to_message(row: RowMapping) -> Message:
    """Return the message of a row of `kommo_messages`."""
    return Message(
        id=row["id"],
        conversation_id=row["conversation_id"],
        kommo_message_id=row["kommo_message_id"] or "",
        role=Role(row["role"]),
        content=row["content"],
        content_type=row["content_type"],
        media_url=row["media_url"] or "",
        file_name=row["file_name"] or "",
        intent=row["intent"] or "",
        sentiment=row["sentiment"] or "",
        confidence_score=row["confidence_score"] or 0.0,
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        outcome_reason=row["outcome_reason"] or "",
        turn_id=row["turn_id"],
        created_at=row["created_at"],
        ingested_at=row["ingested_at"],
        finding=finding_of(row["metadata"]),
    )


def list_messages(
    connection: Connection, conversation_id: UUID, size: int, before: tuple[datetime, UUID] | None
) -> list[Message]:
    """Return at most `size` messages of a conversation with their proof, the newest first.

    Args:
        connection: the transaction.
        conversation_id: the conversation.
        size: at most so many.
        before: time and id of the message to go on after; None begins.
    """
    query = select(MESSAGES, *PROOF_COLUMNS).outerjoin(DELIVERIES, DELIVERIES.c.id == M.delivery_id)
    query = query.where(M.conversation_id == conversation_id)
    if before is not None:
        at, message_id = before
        query = query.where((M.created_at < at) | ((M.created_at == at) & (M.id < message_id)))
    query = query.order_by(M.created_at.desc(), M.id.desc()).limit(size)
    return [replace(to_message(row._mapping), proof=proof_of(row)) for row in connection.execute(query)]


def hand_unread_to_person(
    connection: Connection, conversation_ids: Collection[UUID], reason: str = PERSON_HAS_FLOOR
) -> None:
    """Decide that the client messages that no turn has read are a person's."""
    connection.execute(HAND_UNREAD, {"ids": list(conversation_ids), "reason": reason})
