"""Ending a turn: what a decision does to messages, floor, work and outbox, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import (
    delivery_lease,
    delivery_rows,
    media_rows,
    outbox_rows,
    outcomes,
    turn_rows,
)
from conversation_service.adapters.conversations import lock_conversation
from conversation_service.adapters.delivery_lease import NOTHING_LEASED, Leased, LeaseRound
from conversation_service.adapters.turn_rows import TurnRecord
from conversation_service.adapters.viewings import viewing_of
from conversation_service.domain.conversation import Conversation, Outcome
from conversation_service.domain.deliveries import FLOOR_CHANGED, MESSAGE_LANE, Delivery, DeliveryKind, DeliveryState
from conversation_service.domain.floor import Escalated, Priority
from conversation_service.domain.ingest import due_at
from conversation_service.domain.media import Finding
from conversation_service.domain.turns import (
    Answer,
    Decision,
    Escalate,
    NoAnswer,
    Turn,
    TurnLeaseLost,
    TurnNotFound,
    TurnResult,
    Work,
    as_one,
    is_superseded,
    reasons_of,
    result_of,
)
from conversation_service.use_cases.account_rules import account_of, answers_bots_first, escalator_of, sending_rules
from conversation_service.use_cases.ingest import rules_of
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.profiles import Profiles


@dataclass(frozen=True, slots=True)
class Completion:
    """What a worker says at the end of a turn.

    Args:
        read_message_ids: the messages that the decision has read.
        analysis: values of the columns `intent`, `sentiment` and `confidence_score`; empty when not analysed.
        worker_id: who delivers at once; empty when nobody does.
        findings: what is known of the files of messages.
    """

    turn_id: UUID
    read_message_ids: frozenset[UUID]
    decision: Decision
    record: TurnRecord = field(default_factory=TurnRecord)
    analysis: Mapping[str, object] = field(default_factory=dict)
    worker_id: str = ""
    findings: Mapping[UUID, Finding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completed:
    """How the turn ended, what the caller now holds, and what there is for others to do."""

    result: TurnResult
    deliveries: tuple[Leased, ...] = ()
    is_turn_due: bool = False
    is_delivery_due: bool = False
    given_up: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A turn that its caller still holds, with all locks taken.

    Args:
        read: what was read and nobody decided since, and when it came.
        newer: when messages came that it has not read.
        has_newcomers: one of those came after the lease; the others were left for the next turn on purpose.
        gained: when messages that it has read gained something that it has not.
    """

    turn: Turn
    conversation: Conversation
    work: Work
    read: Mapping[UUID, datetime]
    newer: Sequence[datetime]
    has_newcomers: bool
    gained: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Completer:
    """Ends turns by the rules of the accounts and their business profiles."""

    accounts: Accounts
    profiles: Profiles
    new_id: Callable[[], UUID]

    def complete(self, connection: Connection, now: datetime, completion: Completion) -> Completed:
        """Return how the turn ended; see `TurnUseCases.complete_turn`."""
        turn, conversation = _lock(connection, completion.turn_id)
        if turn.result is TurnResult.ABANDONED:
            raise TurnLeaseLost(turn_id=str(turn.id))
        if turn.result is not None:
            return Completed(turn.result)
        _check_read(turn, completion.read_message_ids)
        work = turn_rows.lock_work(connection, conversation.id)
        if work is None or work.turn_id != turn.id:
            return _overtaken(connection, now, turn, conversation, work, completion)
        unread = outcomes.unread_messages(connection, conversation.id)
        read = {key: at for key, at in unread if key in completion.read_message_ids}
        newer = [at for key, at in unread if key not in completion.read_message_ids]
        has_newcomers = any(key not in turn.message_ids for key, _ in unread)
        gained = [at for at in read.values() if at > turn.leased_at]
        held = _Held(turn, conversation, work, read, newer, has_newcomers, gained)
        return self._decide(connection, now, held, completion)

    def _decide(self, connection: Connection, now: datetime, held: _Held, completion: Completion) -> Completed:
        decision = completion.decision
        if is_superseded(decision, held.work.superseded_count, has_newer=held.has_newcomers or bool(held.gained)):
            again = replace(held.work, superseded_count=held.work.superseded_count + 1)
            self._free(connection, now, again, [*held.newer, *held.gained])
            turn_rows.end_turn(connection, held.turn, TurnResult.SUPERSEDED, now, completion.record)
            return Completed(TurnResult.SUPERSEDED, is_turn_due=True)
        code, reason = reasons_of(decision)
        ended = replace(held.turn, reason_code=code, reason=reason)
        turn_rows.end_turn(connection, ended, result_of(decision), now, completion.record)
        outcomes.mark_read(connection, held.read, held.turn.id, completion.analysis)
        media_rows.store_findings(
            connection, {key: completion.findings[key] for key in held.read if key in completion.findings}
        )
        deliveries = self._carry_out(connection, now, held, decision)
        seen = self._outbox(connection, now, held.conversation, deliveries, completion.worker_id)
        # An escalation has actions to carry out, which nobody is handed.
        is_left = len(deliveries) > len(seen.leased) or isinstance(decision, Escalate)
        return Completed(
            result_of(decision),
            seen.leased,
            is_turn_due=bool(held.newer),
            is_delivery_due=is_left,
            given_up=seen.given_up,
        )

    def _carry_out(self, connection: Connection, now: datetime, held: _Held, decision: Decision) -> list[Delivery]:
        if isinstance(decision, Escalate):
            return self._escalate(connection, now, held, decision)
        self._free(connection, now, replace(held.work, superseded_count=0), held.newer)
        if isinstance(decision, NoAnswer):
            outcomes.decide_read(connection, held.read, Outcome.NOT_ANSWERED, decision.reason_code)
            return []
        replies = self._write(held, held.conversation, DeliveryKind.REPLY, decision, now)
        return [*replies, *self._viewing(connection, held, decision, replies, now)]

    def _viewing(
        self, connection: Connection, held: _Held, answer: Answer, replies: Sequence[Delivery], now: datetime
    ) -> list[Delivery]:
        """Return what asks a person to look at the shown messages."""
        shown = [key for key in answer.shown_message_ids if key in held.read]
        if not shown or not replies:
            return []
        conversation = replace(held.conversation, delivery_sequence=replies[-1].sequence)
        rules = escalator_of(self.accounts, self.profiles, self.new_id).rules_of(conversation.account_id)
        viewing = viewing_of(connection, conversation, shown, rules, self.new_id(), now)
        return [replace(viewing, turn_id=held.turn.id)] if viewing else []

    def _escalate(self, connection: Connection, now: datetime, held: _Held, decision: Escalate) -> list[Delivery]:
        outcomes.decide_read(connection, held.read, Outcome.HANDED_TO_PERSON, decision.reason_code)
        reason, code = decision.reason or decision.reason_code, decision.reason_code
        event = Escalated(reason, Priority(decision.priority), decision.is_failure, code)
        escalator = escalator_of(self.accounts, self.profiles, self.new_id)
        escalated = escalator.escalate(connection, held.conversation, event, now, turn_id=held.turn.id)
        _drop_waiting(connection, now, held.conversation.id)
        return self._write(held, escalated, DeliveryKind.NOTICE, Answer(decision.notice_parts), now)

    def _write(
        self, held: _Held, conversation: Conversation, kind: DeliveryKind, answer: Answer, now: datetime
    ) -> list[Delivery]:
        return [
            Delivery(
                id=self.new_id(),
                account_id=conversation.account_id,
                conversation_id=conversation.id,
                turn_id=held.turn.id,
                sequence=conversation.delivery_sequence + place,
                kind=kind,
                state=DeliveryState.PENDING,
                text=part,
                floor_number=conversation.floor.number,
                created_at=now,
                first_unread_at=min(held.read.values(), default=now),
                ai_model=answer.ai_model,
                # Once a reply, so that a sum over messages is right.
                tokens_used=answer.tokens_used if place == 1 else 0,
                products_referenced=answer.products_referenced,
            )
            for place, part in enumerate(self._bubbles(conversation.account_id, answer.parts), start=1)
        ]

    def _bubbles(self, account_id: str, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the messages of an answer: a bot that waits takes one, so that there all parts are in it."""
        return as_one(parts) if answers_bots_first(self.accounts, account_id) else parts

    def _outbox(
        self,
        connection: Connection,
        now: datetime,
        conversation: Conversation,
        deliveries: Sequence[Delivery],
        worker_id: str,
    ) -> LeaseRound:
        if not deliveries:
            return NOTHING_LEASED
        has_older = outbox_rows.has_pending(connection, conversation.id)
        outcomes.set_delivery_sequence(connection, conversation.id, deliveries[-1].sequence)
        outbox_rows.insert_deliveries(connection, deliveries)
        for lane in sorted({one.lane for one in deliveries}):
            outbox_rows.add_work(connection, conversation.id, conversation.account_id, now, lane)
        if has_older or not worker_id:
            return NOTHING_LEASED
        # Read again: an escalation has changed the floor that the notice leaves under.
        current = lock_conversation(connection, conversation.id)
        rules = sending_rules(self.accounts, self.profiles, self.new_id)
        lanes = [(current.id, MESSAGE_LANE)]
        return delivery_lease.lease_heads(connection, {current.id: current}, lanes, rules, self.new_id, now)

    def _free(self, connection: Connection, now: datetime, work: Work, newer: Sequence[datetime]) -> None:
        if not newer:
            turn_rows.delete_work(connection, [work.conversation_id])
            return
        first, last = min(newer), max(newer)
        due = max(now, due_at(last, first, rules_of(account_of(self.accounts, work.account_id))))
        free = replace(work, turn_id=None, leased_until=None, attempts=0, due_at=due)
        turn_rows.save_work(connection, [replace(free, first_unread_at=first, last_unread_at=last)])


def _lock(connection: Connection, turn_id: UUID) -> tuple[Turn, Conversation]:
    turn = turn_rows.find_turn(connection, turn_id)
    if turn is None:
        raise TurnNotFound(turn_id=str(turn_id))
    conversation = lock_conversation(connection, turn.conversation_id)
    # Read again under the lock: another call may have ended it.
    return turn_rows.find_turn(connection, turn_id) or turn, conversation


def _check_read(turn: Turn, read_message_ids: frozenset[UUID]) -> None:
    if not read_message_ids <= set(turn.message_ids):
        raise InvalidArgument(field="read_message_ids", problem="must be messages of the lease")


def _overtaken(
    connection: Connection,
    now: datetime,
    turn: Turn,
    conversation: Conversation,
    work: Work | None,
    completion: Completion,
) -> Completed:
    is_held_by_other = work is not None and work.turn_id is not None
    if is_held_by_other or conversation.floor.number == turn.floor_number:
        raise TurnLeaseLost(turn_id=str(turn.id))
    outcomes.decide_unread(connection, turn.message_ids, Outcome.HANDED_TO_PERSON, FLOOR_CHANGED)
    turn_rows.end_turn(connection, turn, TurnResult.FLOOR_CHANGED, now, completion.record)
    return Completed(TurnResult.FLOOR_CHANGED)


def _drop_waiting(connection: Connection, now: datetime, conversation_id: UUID) -> None:
    """Drop what waits for the floor that was lost, so that the notice does not wait behind it.

    What a worker holds at this moment ends by its report.
    """
    work = outbox_rows.lock_work(connection, conversation_id)
    if work is None or (work.leased_until is not None and work.leased_until > now):
        return
    for delivery in outbox_rows.pending_by_conversation(connection, [conversation_id]).get(conversation_id, []):
        if not delivery.forced:
            delivery_rows.drop(connection, delivery, now)
    if not outbox_rows.has_pending(connection, conversation_id):
        outbox_rows.delete_work(connection, [(conversation_id, MESSAGE_LANE)])
