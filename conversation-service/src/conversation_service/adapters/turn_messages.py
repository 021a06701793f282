"""What a leased turn is shown: the messages to answer, and what was said before them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection, Integer, bindparam, select

from conversation_service.adapters.messages import to_message
from conversation_service.adapters.outcomes import UNREAD
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.conversation import Conversation, Message, Role
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.turns import HISTORY_LIMIT

LOCK_FREE = (
    select(CONVERSATIONS.c.id)
    .where(CONVERSATIONS.c.id.in_(bindparam("ids", expanding=True)))
    .with_for_update(skip_locked=True)
)
BURSTS = (
    select(MESSAGES)
    .where(MESSAGES.c.conversation_id.in_(bindparam("ids", expanding=True)), *UNREAD)
    # Kommo's clock has whole seconds: within one, the order of arrival counts.
    .order_by(MESSAGES.c.conversation_id, MESSAGES.c.created_at, MESSAGES.c.ingested_at, MESSAGES.c.id)
)
HISTORY = (
    select(MESSAGES)
    .where(MESSAGES.c.conversation_id == bindparam("for_id"), MESSAGES.c.ingested_at >= bindparam("since"))
    .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
MESSAGES_OF = select(MESSAGES).where(MESSAGES.c.id.in_(bindparam("ids", expanding=True)))


def lock_free(connection: Connection, conversation_ids: Sequence[UUID]) -> set[UUID]:
    """Lock those of the conversations that nobody else holds, and return them.

    Never waits: the caller holds the locks of work rows, which others take after the conversation's.
    """
    return set(connection.scalars(LOCK_FREE, {"ids": list(conversation_ids)}))


def bursts(connection: Connection, conversation_ids: Collection[UUID]) -> dict[UUID, list[Message]]:
    """Return the client messages that no turn has read, by conversation, the oldest first."""
    found = map(to_message, connection.execute(BURSTS, {"ids": list(conversation_ids)}).mappings())
    return {key: list(group) for key, group in groupby(found, key=lambda message: message.conversation_id)}


def history(
    connection: Connection, conversation: Conversation, burst: Collection[Message], waiting: Sequence[Delivery]
) -> list[Message]:
    """Return what was said in this episode before the burst, the oldest first, with what waits to be sent.

    Args:
        connection: the transaction.
        conversation: the conversation.
        burst: the messages to answer, which stand beside the history.
        waiting: deliveries of the conversation that are pending, in order.
    """
    unread = {message.id for message in burst}
    parameters = {
        "for_id": conversation.id,
        "since": conversation.floor.episode_started_at,
        "most": HISTORY_LIMIT + len(unread),
    }
    rows = connection.execute(HISTORY, parameters).mappings()
    said = [message for message in map(to_message, rows) if message.id not in unread]
    said.sort(key=_order)
    return [*said, *map(_as_message, waiting)][-HISTORY_LIMIT:]


def messages_of(connection: Connection, message_ids: Collection[UUID]) -> list[Message]:
    """Return messages by their ids, the oldest first."""
    rows = connection.execute(MESSAGES_OF, {"ids": list(message_ids)}).mappings()
    found = [to_message(row) for row in rows]
    return sorted(found, key=_order)


def _order(message: Message) -> tuple[datetime, datetime, UUID]:
    # Kommo tells whole seconds and our own replies are told exactly: within a second the order of arrival counts.
    return (message.created_at.replace(microsecond=0), message.ingested_at, message.id)


def _as_message(delivery: Delivery) -> Message:
    return Message(
        id=delivery.id,
        conversation_id=delivery.conversation_id,
        kommo_message_id="",
        role=Role.ASSISTANT,
        content=delivery.text,
        content_type="text",
        media_url="",
        file_name="",
        intent="",
        sentiment="",
        confidence_score=0.0,
        outcome=None,
        outcome_reason="",
        turn_id=delivery.turn_id,
        created_at=delivery.created_at,
        ingested_at=delivery.created_at,
    )
