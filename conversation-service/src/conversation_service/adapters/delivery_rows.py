"""How deliveries end: sent, dropped or given up, with all that follows in the same transaction."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, outcomes, proof_rows, relay_rows
from conversation_service.adapters.conversations import find_conversation
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.channel_message import RelayStatus
from conversation_service.domain.conversation import Conversation, Outcome
from conversation_service.domain.deliveries import (
    FLOOR_CHANGED,
    PACKAGE_KINDS,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Sent,
    merge_ids,
)
from conversation_service.domain.echoes import echoed, is_leaving_in_pieces
from conversation_service.domain.floor import Escalated, Priority
from conversation_service.domain.proof import DEFAULT_LOOKS, WEBHOOK, Looks, Proof, after_echo, new_proof
from conversation_service.domain.relaying import OWN_CHANNEL, is_message, unmirrored_reason

ECHOES_LOOKED_AT = 100


def settle(
    connection: Connection, delivery: Delivery, sent: Sent, now: datetime, looks: Looks = DEFAULT_LOOKS
) -> Delivery:
    """Record that Kommo has a delivery, and return it; evidence counts whatever was thought before.

    The message is stored once, and the turn's messages are answered when nothing of the turn is left to send. Where
    Kommo's answer does not say that the client has it, it is looked for from now on.
    """
    transport = delivery.transport or sent.transport
    settled = replace(
        delivery,
        state=DeliveryState.SENT,
        transport=transport,
        proof=_proof(delivery, transport, now),
        kommo_message_ids=merge_ids(delivery.kommo_message_ids, sent.kommo_message_ids),
        reason="",
        unclear_since_at=None,
        finished_at=delivery.finished_at if delivery.state is DeliveryState.SENT else now,
    )
    if settled == delivery:
        return delivery
    outbox_rows.save_deliveries(connection, [settled])
    if not delivery.kind.is_said:
        # No message; of all these, only the way of the bot's words to the relay is waited for.
        if delivery.kind is DeliveryKind.RELAY:
            relay_rows.prove_source(connection, settled, sent.relay_status, "", now)
            _answer_turn(connection, settled)
        advance(connection, settled, now)
        return settled
    if delivery.state is DeliveryState.SENT:
        outcomes.add_kommo_id(connection, settled)
        return settled
    outcomes.store_sent(connection, settled, now)
    _relay(connection, settled, now)
    _answer_turn(connection, settled)
    advance(connection, settled, now)
    if settled.proof is not None and settled.proof.is_open:
        proof_rows.look_for(connection, settled, looks, now)
    return settled


def _proof(delivery: Delivery, transport: str, now: datetime) -> Proof | None:
    if delivery.state is not DeliveryState.SENT:
        return new_proof(transport, now) if delivery.kind.is_said else None
    if delivery.proof is not None and delivery.proof.source == WEBHOOK:
        # The echo came before anybody knew what had taken the message, and may be all that is to be seen of it.
        return after_echo(delivery.proof, transport, now)
    return delivery.proof


def _relay(connection: Connection, settled: Delivery, now: datetime) -> None:
    # What took it is unknown while only its echo has been seen.
    if settled.transport in (OWN_CHANNEL, ""):
        conversation = find_conversation(connection, settled.conversation_id)
        if conversation is not None:
            relay_rows.relay_bot_words(connection, conversation, settled, now)


def _not_relayed(connection: Connection, delivery: Delivery, reason: str, now: datetime) -> None:
    """Tell Kommo that the client did not get what stands there as said."""
    conversation = find_conversation(connection, delivery.conversation_id)
    if delivery.kind is DeliveryKind.RELAY and conversation is not None:
        relay_rows.tell_status(connection, conversation, delivery, RelayStatus.FAILED, reason, now)


def drop(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """End a delivery whose floor has changed; a person has what it was to answer."""
    _not_relayed(connection, delivery, FLOOR_CHANGED, now)
    outbox_rows.save_deliveries(connection, [_ended(delivery, DeliveryState.DROPPED, FLOOR_CHANGED, now)])
    if not delivery.is_answer:
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

    What its turn still had to say is dropped: the client would read an answer with a hole in it. What follows a call of
    a person calls nobody: a person was called when it was written.
    """
    dead = _ended(delivery, DeliveryState.DEAD, reason, now)
    if delivery.kind is DeliveryKind.VIEWING:
        # Unlike the actions of a hand-over it was written without anybody being called.
        outbox_rows.save_deliveries(connection, [dead])
        unseen = Escalated(escalator.unseen_reason(conversation.account_id, reason), Priority.HIGH, is_failure=True)
        return escalator.escalate(connection, conversation, unseen, now, turn_id=delivery.turn_id), dead
    _not_relayed(connection, delivery, reason, now)
    if delivery.kind is DeliveryKind.MIRROR and is_message(delivery):
        # Nobody in Kommo can see what the client wrote.
        outbox_rows.save_deliveries(connection, [dead])
        words = unmirrored_reason(reason, escalator.rules_of(conversation.account_id).language)
        called = Escalated(words, Priority.HIGH, is_failure=True, code=reason)
        return escalator.escalate(connection, conversation, called, now), dead
    if not delivery.is_answer:
        outbox_rows.save_deliveries(connection, [dead])
        if delivery.kind in PACKAGE_KINDS:
            escalator.package_waits(connection, conversation, delivery, reason, now)
        return conversation, dead
    outbox_rows.save_deliveries(connection, [dead, *_rest_of_turn(connection, delivery, now)])
    outcomes.decide_turn(connection, delivery.turn_id, Outcome.HANDED_TO_PERSON, reason)
    called = Escalated(reason, Priority.HIGH, is_failure=True, code=reason)
    after = escalator.escalate(
        connection, conversation, called, now, turn_id=delivery.turn_id, undelivered=delivery.text
    )
    return after, dead


def advance(connection: Connection, ended: Delivery, now: datetime) -> None:
    """Make what follows a delivery in its lane due as soon as it may be; forget the work when nothing does."""
    if ended.kind is DeliveryKind.MIRROR:
        relay_rows.wake_said(connection, ended.conversation_id, now)
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
    connection: Connection,
    conversation_id: UUID,
    kommo_message_id: str,
    text: str,
    now: datetime,
    looks: Looks = DEFAULT_LOOKS,
) -> bool:
    """Take a company message that Kommo reports as proof of one of our deliveries; false when it is none of ours.

    Args:
        connection: the transaction, which holds the conversation's lock.
        conversation_id: the conversation that it was reported in.
        kommo_message_id: Kommo's id of the message.
        text: its words; only letters and digits count.
        now: the time of the transaction.
        looks: when the message is looked for.
    """
    candidates = outbox_rows.newest_deliveries(connection, conversation_id, ECHOES_LOOKED_AT)
    found = echoed(candidates, kommo_message_id, text, now)
    if found is None:
        return False
    if is_leaving_in_pieces(found, text):
        ids = merge_ids(found.kommo_message_ids, (kommo_message_id,))
        outbox_rows.save_deliveries(connection, [replace(found, kommo_message_ids=ids)])
        return True
    settled = settle(connection, found, Sent("", (kommo_message_id,)), now, looks)
    proof_rows.note_echo(connection, settled, now)
    return True


def note_late_echo(connection: Connection, delivery_id: UUID, now: datetime) -> None:
    """Take the report of a message of ours that was known to be sent before as a sign that its thread has it."""
    found = outbox_rows.find_delivery(connection, delivery_id)
    if found is not None:
        proof_rows.note_echo(connection, found, now)


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
    if delivery.turn_id is None or not delivery.is_answer:
        return
    others = outbox_rows.deliveries_of_turn(connection, delivery.turn_id)
    if not any(other.state is DeliveryState.PENDING for other in others if other.is_answer):
        outcomes.decide_turn(connection, delivery.turn_id, Outcome.ANSWERED, None)
