"""What became of client messages, and the rows of the bot's messages that Kommo has."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Update, bindparam, insert, select, update

from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.conversation import Outcome
from conversation_service.domain.deliveries import Delivery

UNDECIDED = (MESSAGES.c.role == "user", MESSAGES.c.outcome.is_(None))
UNREAD = (*UNDECIDED, MESSAGES.c.turn_id.is_(None))

_CHOSEN = MESSAGES.c.id.in_(bindparam("ids", expanding=True))
_DECIDED: dict[str, Any] = {"outcome": bindparam("new_outcome"), "outcome_reason": bindparam("new_reason")}
_NOW = bindparam("now", type_=CONVERSATIONS.c.updated_at.type)
_NUMBER = bindparam("number", type_=CONVERSATIONS.c.message_count.type)

UNREAD_OF = (
    select(MESSAGES.c.id, MESSAGES.c.ingested_at)
    .where(MESSAGES.c.conversation_id == bindparam("for_id"), *UNREAD)
    .order_by(MESSAGES.c.ingested_at)
)
DECIDE_READ = update(MESSAGES).where(_CHOSEN, *UNDECIDED).values(_DECIDED)
DECIDE_UNREAD = update(MESSAGES).where(_CHOSEN, *UNREAD).values(_DECIDED)
DECIDE_TURN = update(MESSAGES).where(MESSAGES.c.turn_id == bindparam("for_id"), *UNDECIDED).values(_DECIDED)
TAKE_BACK = (
    update(MESSAGES)
    .where(
        MESSAGES.c.turn_id == bindparam("for_id"),
        MESSAGES.c.role == "user",
        MESSAGES.c.outcome.is_(None) | (MESSAGES.c.outcome == Outcome.ANSWERED.value),
    )
    .values(_DECIDED)
)
INSERT_MESSAGE = insert(MESSAGES)
ADD_KOMMO_ID = (
    update(MESSAGES)
    .where(MESSAGES.c.id == bindparam("for_id"), MESSAGES.c.kommo_message_id.is_(None))
    .values(kommo_message_id=bindparam("new_id"))
)
REPORTED_COPY = (
    select(MESSAGES.c.id)
    .where(
        MESSAGES.c.account_id == bindparam("account"),
        MESSAGES.c.kommo_message_id.in_(bindparam("ids", expanding=True)),
    )
    .limit(1)
)
SET_SEQUENCE = (
    update(CONVERSATIONS)
    # It only grows: another delivery may have been written since the conversation was read.
    .where(CONVERSATIONS.c.id == bindparam("for_id"), CONVERSATIONS.c.delivery_sequence < bindparam("new_sequence"))
    .values(delivery_sequence=bindparam("new_sequence"))
)
COUNT_BOT_MESSAGES = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("for_id"))
    .values(
        message_count=CONVERSATIONS.c.message_count + _NUMBER,
        bot_message_count=CONVERSATIONS.c.bot_message_count + _NUMBER,
        last_message_at=_NOW,
        last_bot_response_at=_NOW,
        updated_at=_NOW,
    )
)


def unread_messages(connection: Connection, conversation_id: UUID) -> list[tuple[UUID, datetime]]:
    """Return ids and arrivals of the client messages that no turn has read, the oldest first."""
    return [(row.id, row.ingested_at) for row in connection.execute(UNREAD_OF, {"for_id": conversation_id})]


def mark_read(
    connection: Connection, message_ids: Collection[UUID], turn_id: UUID, analysis: Mapping[str, object]
) -> None:
    """Record which turn read messages, and what they wanted (values of intent, sentiment and confidence_score)."""
    values: dict[str, object] = {"turn_id": turn_id, **analysis}
    parameters = {f"new_{name}": value for name, value in values.items()}
    connection.execute(_marking(tuple(values)), {"ids": list(message_ids), **parameters})


def decide_read(connection: Connection, message_ids: Collection[UUID], outcome: Outcome, reason: str | None) -> None:
    """Decide messages that a turn read; what was decided before stays."""
    connection.execute(DECIDE_READ, {"ids": list(message_ids), **_decided(outcome, reason)})


def decide_unread(connection: Connection, message_ids: Collection[UUID], outcome: Outcome, reason: str) -> None:
    """Decide messages that no turn has answered; what was decided or read before stays."""
    connection.execute(DECIDE_UNREAD, {"ids": list(message_ids), **_decided(outcome, reason)})


def set_delivery_sequence(connection: Connection, conversation_id: UUID, sequence: int) -> None:
    """Record the highest sequence given to a delivery of a conversation, whose lock the caller has."""
    connection.execute(SET_SEQUENCE, {"for_id": conversation_id, "new_sequence": sequence})


def decide_turn(connection: Connection, turn_id: UUID | None, outcome: Outcome, reason: str | None) -> None:
    """Decide what a turn read; what was decided before stays."""
    if turn_id is not None:
        connection.execute(DECIDE_TURN, {"for_id": turn_id, **_decided(outcome, reason)})


def take_answer_back(connection: Connection, turn_id: UUID | None, outcome: Outcome, reason: str) -> None:
    """Decide anew what a turn read and answered: its reply did not arrive."""
    if turn_id is not None:
        connection.execute(TAKE_BACK, {"for_id": turn_id, **_decided(outcome, reason)})


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
    connection.execute(INSERT_MESSAGE, row)
    _count(connection, delivery, now, messages=1)


def add_kommo_id(connection: Connection, delivery: Delivery) -> None:
    """Give the message of a delivery Kommo's id where it was stored without one."""
    if delivery.kommo_message_ids and _reported_copy(connection, delivery) is None:
        connection.execute(ADD_KOMMO_ID, {"for_id": delivery.id, "new_id": delivery.kommo_message_ids[0]})


@cache
def _marking(names: tuple[str, ...]) -> Update:
    return update(MESSAGES).where(_CHOSEN).values({name: bindparam(f"new_{name}") for name in names})


def _decided(outcome: Outcome, reason: str | None) -> dict[str, object]:
    return {"new_outcome": outcome.value, "new_reason": reason or None}


def _reported_copy(connection: Connection, delivery: Delivery) -> UUID | None:
    if not delivery.kommo_message_ids:
        return None
    parameters = {"account": delivery.account_id, "ids": list(delivery.kommo_message_ids)}
    found: UUID | None = connection.scalar(REPORTED_COPY, parameters)
    return found


def _sent_values(delivery: Delivery, now: datetime) -> dict[str, object]:
    return {
        "role": "assistant",
        "turn_id": delivery.turn_id,
        "delivery_id": delivery.id,
        "ai_model": delivery.ai_model or None,
        "tokens_used": delivery.tokens_used or None,
        "products_referenced": list(delivery.products_referenced),
        # A line that nobody asked for answers nothing.
        "response_time_ms": _response_time_ms(delivery, now) if delivery.is_answer else None,
    }


def _response_time_ms(delivery: Delivery, now: datetime) -> int:
    return max(0, (now - delivery.first_unread_at) // timedelta(milliseconds=1))


def _count(connection: Connection, delivery: Delivery, now: datetime, *, messages: int) -> None:
    connection.execute(COUNT_BOT_MESSAGES, {"for_id": delivery.conversation_id, "number": messages, "now": now})
