"""What a leased turn is shown: the messages to answer, and what was said before them."""

from collections.abc import Collection, Sequence
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection, select

from conversation_service.adapters.messages import to_message
from conversation_service.adapters.outcomes import UNREAD
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.conversation import Conversation, Message, Role
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.turns import HISTORY_LIMIT


def lock_free(connection: Connection, conversation_ids: Sequence[UUID]) -> set[UUID]:
    """Lock those of the conversations that nobody else holds, and return them.

    Never waits: the caller holds the locks of work rows, which others take after the conversation's.
    """
    statement = (
        select(CONVERSATIONS.c.id)
        .where(CONVERSATIONS.c.id.in_(list(conversation_ids)))
        .with_for_update(skip_locked=True)
    )
    return set(connection.scalars(statement))


def bursts(connection: Connection, conversation_ids: Collection[UUID]) -> dict[UUID, list[Message]]:
    """Return the client messages that no turn has read, by conversation, the oldest first."""
    statement = (
        select(MESSAGES)
        .where(MESSAGES.c.conversation_id.in_(list(conversation_ids)), *UNREAD)
        # Kommo's clock has whole seconds: within one, the order of arrival counts.
        .order_by(MESSAGES.c.conversation_id, MESSAGES.c.created_at, MESSAGES.c.ingested_at, MESSAGES.c.id)
    )
    found = map(to_message, connection.execute(statement).mappings())
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
    statement = (
        select(MESSAGES)
        .where(
            MESSAGES.c.conversation_id == conversation.id,
            MESSAGES.c.ingested_at >= conversation.floor.episode_started_at,
        )
        .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc())
        .limit(HISTORY_LIMIT + len(unread))
    )
    rows = connection.execute(statement).mappings()
    said = [message for message in map(to_message, rows) if message.id not in unread]
    said.sort(key=lambda message: (message.created_at, message.ingested_at, message.id))
    return [*said, *map(_as_message, waiting)][-HISTORY_LIMIT:]


def messages_of(connection: Connection, message_ids: Collection[UUID]) -> list[Message]:
    """Return messages by their ids, the oldest first."""
    statement = select(MESSAGES).where(MESSAGES.c.id.in_(list(message_ids)))
    found = [to_message(row) for row in connection.execute(statement).mappings()]
    return sorted(found, key=lambda message: (message.created_at, message.ingested_at, message.id))


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
