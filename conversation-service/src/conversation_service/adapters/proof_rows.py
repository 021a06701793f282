"""Rows of proof: which messages are looked for, when, and what a look or an echo says of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.conversation import Conversation, Outcome
from conversation_service.domain.deliveries import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    merge_ids,
)
from conversation_service.domain.floor import Escalated, Priority
from conversation_service.domain.proof import (
    LOOKED_AT_WITHIN,
    Finding,
    Looks,
    ProofState,
    Sign,
    after_echo,
    after_look,
    after_sign,
    untold,
)

PROOF_LANE = DeliveryKind.PROOF.lane
MOST_AWAITED = 50
ALREADY_PROVED = "already_proved"
# Longer than Kommo's record may place a message before it was accepted here.
CLAIMED_BEFORE = timedelta(minutes=5)
LEAST_LOOKS = 3


def look_for(connection: Connection, message: Delivery, looks: Looks, now: datetime) -> None:
    """Have a message looked for that Kommo has just accepted.

    Each conversation has one delivery of this kind, whose look tells of all its messages; it comes and goes.
    """
    due_at = now + looks.first
    waiting = outbox_rows.first_pending(connection, message.conversation_id, PROOF_LANE)
    if waiting is None:
        _begin(connection, message, due_at, now)
    elif waiting.not_before_at is not None and waiting.not_before_at > due_at:
        _look_at(connection, waiting, due_at, now)


def awaited(connection: Connection, conversation_id: UUID, now: datetime) -> tuple[Delivery, ...]:
    """Return the messages of a conversation that a look can tell of, the oldest first."""
    return tuple(outbox_rows.accepted(connection, conversation_id, now - LOOKED_AT_WITHIN, MOST_AWAITED))


def claimed_since(messages: Sequence[Delivery], now: datetime) -> datetime:
    """Return since when the ids of other messages are told to a look, which else could take their words for these."""
    return min((_sent_at(one) for one in messages), default=now) - CLAIMED_BEFORE


def is_wanted(messages: Sequence[Delivery]) -> bool:
    """Tell whether any of the messages is still looked for."""
    return any(one.proof is not None and one.proof.is_open for one in messages)


def is_last_look(messages: Sequence[Delivery], looks: Looks, now: datetime) -> bool:
    """Tell whether a look decides what the absence of one of the messages means."""
    return any(looks.is_last(_sent_at(one), now) for one in messages if one.proof and one.proof.is_open)


def note_echo(connection: Connection, delivery: Delivery, now: datetime) -> Delivery:
    """Record that Kommo has reported a message of ours back, and return it."""
    if delivery.proof is None:
        return delivery
    return _noted(connection, replace(delivery, proof=after_echo(delivery.proof, delivery.transport, now)), delivery)


def note_sign(connection: Connection, delivery: Delivery, sign: Sign, now: datetime) -> Delivery:
    """Record a sign of a message that came from elsewhere than a look, and return it."""
    if delivery.proof is None:
        return delivery
    return _noted(connection, replace(delivery, proof=after_sign(delivery.proof, sign, now)), delivery)


@dataclass(frozen=True, slots=True)
class Proved:
    """What a look came to: the conversation's look after it, and the messages that it decided."""

    look: Delivery
    decided: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Prover:
    """Carries out what looks say.

    Args:
        looks: when messages are looked for.
        escalator: calls a person where a message did not arrive.
    """

    looks: Looks
    escalator: Escalator

    def after_look(
        self,
        connection: Connection,
        conversation: Conversation,
        look: Delivery,
        findings: Sequence[Finding],
        looked_at: datetime,
        now: datetime,
    ) -> Proved:
        """Record what Kommo's record says, and call a person for what did not arrive.

        Args:
            connection: the transaction, which holds the conversation's lock.
            conversation: the conversation.
            look: the delivery that was leased for it.
            findings: what was seen.
            looked_at: when the lease began; what was sent later was not looked for.
            now: the time of the transaction.
        """
        found = {one.delivery_id: one for one in findings}
        before = [one for one in awaited(connection, conversation.id, now) if one.id in found]
        after = [self._after_look(one, found[one.id], looked_at, now) for one in before]
        return self._ended(connection, conversation, look, before, after, now)

    def after_failure(
        self, connection: Connection, conversation: Conversation, look: Delivery, reason: str, now: datetime
    ) -> Proved:
        """Record that nothing more can be told of the messages that wait."""
        before = [one for one in awaited(connection, conversation.id, now) if one.proof and one.proof.is_open]
        after = [replace(one, proof=untold(one.proof, reason, now)) for one in before if one.proof]
        return self._ended(connection, conversation, look, before, after, now)

    def is_given_up(self, connection: Connection, conversation: Conversation, look: Delivery, now: datetime) -> bool:
        """Tell whether the oldest message that waits could not be told of for too long, however often it was tried.

        Looks that wait for the account's rate were not tried yet.
        """
        if look.attempt_count < LEAST_LOOKS:
            return False
        waiting = [one for one in awaited(connection, conversation.id, now) if one.proof and one.proof.is_open]
        return not waiting or self.looks.is_given_up(_sent_at(waiting[0]), now)

    def _after_look(self, message: Delivery, finding: Finding, looked_at: datetime, now: datetime) -> Delivery:
        if message.proof is None:
            return message
        is_last = self.looks.is_last(_sent_at(message), looked_at)
        ids = merge_ids(message.kommo_message_ids, finding.kommo_message_ids)
        return replace(
            message, proof=after_look(message.proof, finding.sign, now, is_last=is_last), kommo_message_ids=ids
        )

    def _ended(
        self,
        connection: Connection,
        conversation: Conversation,
        look: Delivery,
        before: Sequence[Delivery],
        after: Sequence[Delivery],
        now: datetime,
    ) -> Proved:
        changed = [new for old, new in zip(before, after, strict=True) if new != old]
        outbox_rows.save_deliveries(connection, changed)
        for one in changed:
            outcomes.add_kommo_id(connection, one)
        decided = [new for old, new in zip(before, after, strict=True) if _is_decided(old, new)]
        self._tell(connection, conversation, [one for one in decided if _has_failed(one)], now)
        return Proved(self._again(connection, look, now), tuple(decided))

    def _tell(
        self, connection: Connection, conversation: Conversation, failed: Sequence[Delivery], now: datetime
    ) -> None:
        for one in failed:
            reason = one.proof.reason if one.proof else ""
            if one.is_answer:
                outcomes.take_answer_back(connection, one.turn_id, Outcome.HANDED_TO_PERSON, reason)
            called = Escalated(reason, Priority.HIGH, is_failure=True)
            conversation = self.escalator.escalate(
                connection, conversation, called, now, turn_id=one.turn_id, undelivered=one.text
            )

    def _again(self, connection: Connection, look: Delivery, now: datetime) -> Delivery:
        """Make the next look due, for what still waits; end the look where nothing does."""
        waiting = [one for one in awaited(connection, look.conversation_id, now) if one.proof and one.proof.is_open]
        if not waiting:
            return end_look(connection, look, now)
        due_at = min(self.looks.next_at(_sent_at(one), now) for one in waiting)
        again = replace(look, not_before_at=due_at, reason="", attempt_count=0)
        outbox_rows.save_deliveries(connection, [again])
        work = outbox_rows.DeliveryWork(look.conversation_id, PROOF_LANE, look.account_id, due_at)
        outbox_rows.save_work(connection, [work])
        return again


def end_look(connection: Connection, look: Delivery, now: datetime, reason: str = "") -> Delivery:
    """End the look of a conversation where nothing is looked for any more, and return it."""
    ended = replace(look, state=DeliveryState.SENT, reason=reason, finished_at=now)
    outbox_rows.save_deliveries(connection, [ended])
    outbox_rows.delete_work(connection, [(look.conversation_id, PROOF_LANE)])
    return ended


def _begin(connection: Connection, message: Delivery, due_at: datetime, now: datetime) -> None:
    look = Delivery(
        id=uuid5(message.conversation_id, PROOF_LANE),
        account_id=message.account_id,
        conversation_id=message.conversation_id,
        turn_id=None,
        sequence=0,
        kind=DeliveryKind.PROOF,
        state=DeliveryState.PENDING,
        text="",
        floor_number=message.floor_number,
        created_at=now,
        first_unread_at=now,
        not_before_at=due_at,
    )
    outbox_rows.put_delivery(connection, look)
    outbox_rows.add_work(connection, message.conversation_id, message.account_id, due_at, PROOF_LANE)


def _look_at(connection: Connection, look: Delivery, due_at: datetime, now: datetime) -> None:
    outbox_rows.save_deliveries(connection, [replace(look, not_before_at=due_at)])
    work = outbox_rows.lock_work(connection, look.conversation_id, PROOF_LANE)
    if work is not None and (work.leased_until is None or work.leased_until <= now):
        outbox_rows.save_work(connection, [replace(work, due_at=due_at)])


def _noted(connection: Connection, noted: Delivery, before: Delivery) -> Delivery:
    if noted != before:
        outbox_rows.save_deliveries(connection, [noted])
    return noted


def _sent_at(message: Delivery) -> datetime:
    return message.finished_at or message.created_at


def _is_decided(old: Delivery, new: Delivery) -> bool:
    return old.proof != new.proof and new.proof is not None and not new.proof.is_open


def _has_failed(message: Delivery) -> bool:
    return message.proof is not None and message.proof.state is ProofState.FAILED
