"""How deliveries end: sent, dropped or given up, with all that follows in the same transaction."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.conversation import Conversation, Outcome
from conversation_service.domain.deliveries import (
    FLOOR_CHANGED,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Sent,
    echoed,
    merge_ids,
)
from conversation_service.domain.floor import Escalated, Priority

ECHOES_LOOKED_AT = 100


def settle(connection: Connection, delivery: Delivery, sent: Sent, now: datetime) -> Delivery:
    """Record that Kommo has a delivery, and return it; evidence counts whatever was thought before.

    The message is stored once, and the turn's messages are answered when nothing of the turn is left to send.
    """
    settled = replace(
        delivery,
        state=DeliveryState.SENT,
        transport=delivery.transport or sent.transport,
        kommo_message_ids=merge_ids(delivery.kommo_message_ids, sent.kommo_message_ids),
        reason="",
        unclear_since_at=None,
        finished_at=delivery.finished_at if delivery.state is DeliveryState.SENT else now,
    )
    if settled == delivery:
        return delivery
    outbox_rows.save_deliveries(connection, [settled])
    if delivery.kind.is_action:
        # No message, and nothing of the client waits for it.
        advance(connection, settled, now)
        return settled
    if delivery.state is DeliveryState.SENT:
        outcomes.add_kommo_id(connection, settled)
        return settled
    outcomes.store_sent(connection, settled, now)
    _answer_turn(connection, settled)
    advance(connection, settled, now)
    return settled


def drop(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """End a delivery whose floor has changed; a person has what it was to answer."""
    outbox_rows.save_deliveries(connection, [_ended(delivery, DeliveryState.DROPPED, FLOOR_CHANGED, now)])
    if delivery.kind.is_action:
        return
    outcomes.decide_turn(connection, delivery.turn_id, Outcome.HANDED_TO_PERSON, FLOOR_CHANGED)


def skip(connection: Connection, delivery: Delivery, reason: str, now: datetime) -> Delivery:
    """End an action that there is nothing to do for, and return it."""
    skipped = _ended(delivery, DeliveryState.DROPPED, reason, now)
    outbox_rows.save_deliveries(connection, [skipped])
    advance(connection, skipped, now)
    return skipped


def give_up(
    connection: Connection,
    conversation: Conversation,
    delivery: Delivery,
    reason: str,
    escalator: Escalator,
    now: datetime,
) -> tuple[Conversation, Delivery]:
    """End a delivery that cannot be sent, and call a person; return the conversation and the dead letter.

    What its turn still had to say is dropped: the client would read an answer with a hole in it. An action of a
    hand-over calls nobody: a person was called when it was written.
    """
    dead = _ended(delivery, DeliveryState.DEAD, reason, now)
    if delivery.kind.is_action:
        outbox_rows.save_deliveries(connection, [dead])
        return conversation, dead
    outbox_rows.save_deliveries(connection, [dead, *_rest_of_turn(connection, delivery, now)])
    outcomes.decide_turn(connection, delivery.turn_id, Outcome.HANDED_TO_PERSON, reason)
    called = Escalated(reason, Priority.HIGH, is_failure=True)
    after = escalator.escalate(
        connection, conversation, called, now, turn_id=delivery.turn_id, undelivered=delivery.text
    )
    return after, dead


def advance(connection: Connection, ended: Delivery, now: datetime) -> None:
    """Make what follows a delivery in its lane due as soon as it may be; forget the work when nothing does."""
    following = outbox_rows.first_pending(connection, ended.conversation_id, ended.lane)
    if following is None:
        outbox_rows.delete_work(connection, [(ended.conversation_id, ended.lane)])
        return
    work = outbox_rows.lock_work(connection, ended.conversation_id, ended.lane)
    if work is not None and work.delivery_id == ended.id:
        due_at = max(now, following.not_before_at or now)
        freed = outbox_rows.DeliveryWork(work.conversation_id, work.lane, work.account_id, due_at)
        outbox_rows.save_work(connection, [freed])


def settle_by_echo(
    connection: Connection, conversation_id: UUID, kommo_message_id: str, text: str, now: datetime
) -> bool:
    """Take a company message that Kommo reports as proof of one of our deliveries; false when it is none of ours.

    Args:
        connection: the transaction, which holds the conversation's lock.
        conversation_id: the conversation that it was reported in.
        kommo_message_id: Kommo's id of the message.
        text: its words; white space does not count.
        now: the time of the transaction.
    """
    candidates = outbox_rows.newest_deliveries(connection, conversation_id, ECHOES_LOOKED_AT)
    found = echoed(candidates, kommo_message_id, text, now)
    if found is None:
        return False
    settle(connection, found, Sent("", (kommo_message_id,)), now)
    return True


def _ended(delivery: Delivery, state: DeliveryState, reason: str, now: datetime) -> Delivery:
    return replace(delivery, state=state, reason=reason, finished_at=now)


def _rest_of_turn(connection: Connection, delivery: Delivery, now: datetime) -> list[Delivery]:
    if delivery.turn_id is None:
        return []
    return [
        _ended(other, DeliveryState.DROPPED, FLOOR_CHANGED, now)
        for other in outbox_rows.deliveries_of_turn(connection, delivery.turn_id)
        if other.state is DeliveryState.PENDING and other.id != delivery.id and other.kind is DeliveryKind.REPLY
    ]


def _answer_turn(connection: Connection, delivery: Delivery) -> None:
    if delivery.turn_id is None:
        return
    others = outbox_rows.deliveries_of_turn(connection, delivery.turn_id)
    if not any(other.state is DeliveryState.PENDING for other in others if not other.kind.is_action):
        outcomes.decide_turn(connection, delivery.turn_id, Outcome.ANSWERED, None)
