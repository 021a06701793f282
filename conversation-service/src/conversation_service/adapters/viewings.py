"""Asking a person to look at what a client sent, while the bot goes on."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.conversations import lock_conversation
from conversation_service.adapters.media_rows import words_of
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import HandoffRules, task_details, viewing_text


def viewing_of(
    connection: Connection,
    conversation: Conversation,
    message_ids: Collection[UUID],
    rules: HandoffRules,
    delivery_id: UUID,
    now: datetime,
) -> Delivery | None:
    """Return what asks a person to look at messages; None where the account wants neither tasks nor notes.

    Args:
        connection: the transaction, which holds the conversation's lock.
        conversation: the conversation, whose highest sequence comes before the one that this gets.
        message_ids: the messages; none asks for nothing.
        rules: what the account wants.
        delivery_id: id of the delivery.
        now: the time of the transaction.
    """
    if not message_ids or not (rules.has_task or rules.has_note):
        return None
    words = words_of(connection, message_ids, rules.shows_link)
    return Delivery(
        id=delivery_id,
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        turn_id=None,
        sequence=conversation.delivery_sequence + 1,
        kind=DeliveryKind.VIEWING,
        state=DeliveryState.PENDING,
        text=viewing_text(words, rules.language),
        floor_number=conversation.floor.number,
        created_at=now,
        first_unread_at=now,
        details=task_details(rules, Priority.MEDIUM, now) if rules.has_task else None,
    )


def show_late_file(
    connection: Connection,
    conversation_id: UUID,
    message_id: UUID,
    rules: HandoffRules,
    delivery_id: UUID,
    now: datetime,
) -> None:
    """Ask a person to look at a file that came after its message was answered; not where a person has the floor.

    Arguments as of `viewing_of`.
    """
    conversation = lock_conversation(connection, conversation_id)
    if not conversation.floor.is_with_bot:
        return
    viewing = viewing_of(connection, conversation, [message_id], rules, delivery_id, now)
    if viewing is None:
        return
    outcomes.set_delivery_sequence(connection, conversation.id, viewing.sequence)
    outbox_rows.insert_deliveries(connection, [viewing])
    outbox_rows.add_work(connection, conversation.id, conversation.account_id, now, viewing.lane)
