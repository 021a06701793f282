"""Writing alerts into the outbox, in the transaction of what they are about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.tables import DELIVERIES
from conversation_service.domain.alerts import AlertDetails
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState


def write_alert(
    connection: Connection,
    conversation: Conversation,
    details: AlertDetails,
    now: datetime,
    *,
    new_id: Callable[[], UUID],
    not_before_at: datetime | None = None,
    turn_id: UUID | None = None,
) -> Conversation:
    """Write an alert that leaves through the outbox, and return the conversation after it.

    One about a hand-over is written once for each number of the floor; a second one changes nothing. Whoever calls this
    looks first whether the account has an alert address: without one the alert is skipped when it is leased.

    Args:
        connection: the transaction, which holds the conversation's lock.
        conversation: the conversation that it is about; of an account's own matter, the one that brought it up.
        details: what it says.
        now: the time of the transaction.
        new_id: makes ids of deliveries.
        not_before_at: when it is due; None means now.
        turn_id: the turn that led here.
    """
    lane, number = details.kind.lane, conversation.floor.number
    if details.kind.is_of_hand_over and _is_written(connection, conversation.id, lane, number):
        return conversation
    alert = Delivery(
        id=new_id(),
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        turn_id=turn_id,
        sequence=conversation.delivery_sequence + 1,
        kind=DeliveryKind.ALERT,
        state=DeliveryState.PENDING,
        text="",
        floor_number=number,
        created_at=now,
        first_unread_at=not_before_at or now,
        details=details,
        not_before_at=not_before_at,
    )
    outbox_rows.insert_deliveries(connection, [alert])
    outbox_rows.add_work(connection, conversation.id, conversation.account_id, not_before_at or now, lane)
    outcomes.set_delivery_sequence(connection, conversation.id, alert.sequence)
    return replace(conversation, delivery_sequence=alert.sequence)


def _is_written(connection: Connection, conversation_id: UUID, lane: str, floor_number: int) -> bool:
    statement = select(DELIVERIES.c.id).where(
        DELIVERIES.c.conversation_id == conversation_id,
        DELIVERIES.c.lane == lane,
        DELIVERIES.c.floor_number == floor_number,
    )
    return connection.scalar(statement.limit(1)) is not None
