"""What became of client messages, and the rows of the bot's messages that Kommo has."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, select, update

from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.conversation import Outcome
from conversation_service.domain.deliveries import Delivery

UNDECIDED = (MESSAGES.c.role == "user", MESSAGES.c.outcome.is_(None))
UNREAD = (*UNDECIDED, MESSAGES.c.turn_id.is_(None))


def unread_messages(connection: Connection, conversation_id: UUID) -> list[tuple[UUID, datetime]]:
    """Return ids and arrivals of the client messages that no turn has read, the oldest first."""
    statement = (
        select(MESSAGES.c.id, MESSAGES.c.ingested_at)
        .where(MESSAGES.c.conversation_id == conversation_id, *UNREAD)
        .order_by(MESSAGES.c.ingested_at)
    )
    return [(row.id, row.ingested_at) for row in connection.execute(statement)]


def mark_read(
    connection: Connection, message_ids: Collection[UUID], turn_id: UUID, analysis: Mapping[str, object]
) -> None:
    """Record which turn read messages, and what they wanted (values of intent, sentiment and confidence_score)."""
    chosen = MESSAGES.c.id.in_(list(message_ids))
    connection.execute(update(MESSAGES).where(chosen).values(turn_id=turn_id, **analysis))


def decide_read(connection: Connection, message_ids: Collection[UUID], outcome: Outcome, reason: str | None) -> None:
    """Decide messages that a turn read; what was decided before stays."""
    _decide(connection, MESSAGES.c.id.in_(list(message_ids)), outcome, reason)


def decide_unread(connection: Connection, message_ids: Collection[UUID], outcome: Outcome, reason: str) -> None:
    """Decide messages that no turn has answered; what was decided or read before stays."""
    _decide(connection, MESSAGES.c.id.in_(list(message_ids)) & MESSAGES.c.turn_id.is_(None), outcome, reason)


def set_delivery_sequence(connection: Connection, conversation_id: UUID, sequence: int) -> None:
    """Record the highest sequence given to a delivery of a conversation, whose lock the caller has."""
    connection.execute(
        update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(delivery_sequence=sequence)
    )


def decide_turn(connection: Connection, turn_id: UUID | None, outcome: Outcome, reason: str | None) -> None:
    """Decide what a turn read; what was decided before stays."""
    if turn_id is not None:
        _decide(connection, MESSAGES.c.turn_id == turn_id, outcome, reason)


def store_sent(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Store the message of a delivery that has just become sent; a copy that Kommo reported before becomes it."""
    values = _sent_values(delivery, now)
    copy = _reported_copy(connection, delivery)
    if copy is not None:
        connection.execute(update(MESSAGES).where(MESSAGES.c.id == copy).values(values))
        _count(connection, delivery, now, messages=0)
        return
    kommo_id = delivery.kommo_message_ids[0] if delivery.kommo_message_ids else None
    row = values | {
        # The message of a delivery has its id, so that nothing can store it twice.
        "id": delivery.id,
        "account_id": delivery.account_id,
        "conversation_id": delivery.conversation_id,
        "kommo_message_id": kommo_id,
        "content": delivery.text,
        "content_type": "text",
        "created_at": now,
        "ingested_at": now,
    }
    connection.execute(insert(MESSAGES).values(row))
    _count(connection, delivery, now, messages=1)


def add_kommo_id(connection: Connection, delivery: Delivery) -> None:
    """Give the message of a delivery Kommo's id where it was stored without one."""
    if delivery.kommo_message_ids and _reported_copy(connection, delivery) is None:
        connection.execute(
            update(MESSAGES)
            .where(MESSAGES.c.id == delivery.id, MESSAGES.c.kommo_message_id.is_(None))
            .values(kommo_message_id=delivery.kommo_message_ids[0])
        )


def _decide(connection: Connection, chosen: ColumnElement[bool], outcome: Outcome, reason: str | None) -> None:
    connection.execute(
        update(MESSAGES).where(chosen, *UNDECIDED).values(outcome=outcome.value, outcome_reason=reason or None)
    )


def _reported_copy(connection: Connection, delivery: Delivery) -> UUID | None:
    if not delivery.kommo_message_ids:
        return None
    return connection.scalar(
        select(MESSAGES.c.id)
        .where(
            MESSAGES.c.account_id == delivery.account_id,
            MESSAGES.c.kommo_message_id.in_(list(delivery.kommo_message_ids)),
        )
        .limit(1)
    )


def _sent_values(delivery: Delivery, now: datetime) -> dict[str, object]:
    return {
        "role": "assistant",
        "turn_id": delivery.turn_id,
        "delivery_id": delivery.id,
        "ai_model": delivery.ai_model or None,
        "tokens_used": delivery.tokens_used or None,
        "products_referenced": list(delivery.products_referenced),
        "response_time_ms": max(0, (now - delivery.first_unread_at) // timedelta(milliseconds=1)),
    }


def _count(connection: Connection, delivery: Delivery, now: datetime, *, messages: int) -> None:
    connection.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == delivery.conversation_id)
        .values(
            message_count=CONVERSATIONS.c.message_count + messages,
            bot_message_count=CONVERSATIONS.c.bot_message_count + messages,
            last_message_at=now,
            last_bot_response_at=now,
            updated_at=now,
        )
    )
