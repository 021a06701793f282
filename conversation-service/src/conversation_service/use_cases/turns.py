"""Use cases of turns: leasing, extending, giving back. Ending one is in `completion`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, turn_messages, turn_rows
from conversation_service.adapters.conversations import find_conversations, lock_conversation
from conversation_service.adapters.store import Store
from conversation_service.adapters.turn_rows import TurnRecord
from conversation_service.domain.conversation import Conversation, Message
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.turns import (
    LEASE,
    Turn,
    TurnLeaseLost,
    TurnNotFound,
    TurnResult,
    Work,
    attempts_after_abandon,
)
from conversation_service.use_cases.completion import Completed, Completer, Completion
from conversation_service.use_cases.given_up import note_given_up
from conversation_service.use_cases.long_poll import CALLER_GONE, Look, long_poll
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.profiles import Profiles
from kommomesh_runtime.telemetry import counter

COMPLETED = counter("turns_completed_total", "Completions of turns, repeats included, by result.", ("result",))


@dataclass(frozen=True, slots=True)
class LeasedTurn:
    """A turn that a worker holds, with all that it has to read."""

    turn: Turn
    conversation: Conversation
    messages: tuple[Message, ...]
    history: tuple[Message, ...]
    lease_until: datetime
    waiting_since: datetime


@dataclass(frozen=True)
class TurnUseCases:
    """The use cases of turns, bound to one store, its accounts and their business profiles."""

    store: Store
    accounts: Accounts
    new_id: Callable[[], UUID] = uuid4
    profiles: Profiles = field(default_factory=Profiles)

    async def lease_turns(
        self, worker_id: str, maximum: int, wait_seconds: float, drain: asyncio.Event
    ) -> tuple[LeasedTurn, ...]:
        """Return turns that are due, now held by the worker; waits for some when none is.

        Args:
            worker_id: who holds them, for the trace.
            maximum: most of them.
            wait_seconds: how long to wait at most.
            drain: set when the server is about to stop.
        """

        async def look() -> Look[LeasedTurn]:
            return await self.store.write(lambda connection, now: self._lease(connection, now, worker_id, maximum))

        async def give_back(leased: LeasedTurn) -> None:
            await self.abandon_turn(leased.turn.id, CALLER_GONE, timedelta())

        return await long_poll(self.store, "turns", look, give_back, wait_seconds, drain)

    async def extend_turn(self, turn_id: UUID) -> datetime:
        """Return the new end of a turn's lease.

        Raises:
            TurnLeaseLost: the caller does not hold it.
        """

        def work(connection: Connection, now: datetime) -> datetime:
            held = _held(connection, turn_id)
            if held is None:
                raise TurnLeaseLost(turn_id=str(turn_id))
            until = now + LEASE
            turn_rows.save_work(connection, [replace(held, due_at=until, leased_until=until)])
            return until

        return await self.store.write(work)

    async def abandon_turn(self, turn_id: UUID, reason: str, retry_after: timedelta) -> None:
        """Give a turn back without an outcome; it does not count as an attempt.

        Raises:
            TurnNotFound: no turn has the id.
            TurnLeaseLost: the caller does not hold it.
        """
        await self.store.write(lambda connection, now: _abandon(connection, now, turn_id, reason, retry_after))
        self.store.wake("turns")

    async def complete_turn(self, completion: Completion) -> Completed:
        """End a turn, once; a repeat returns the stored result and no deliveries.

        Raises:
            InvalidArgument: the turn did not lease the messages that are said to be read.
            TurnNotFound: no turn has the id.
            TurnLeaseLost: the caller does not hold it.
        """
        completer = Completer(self.accounts, self.profiles, self.new_id)
        completed = await self.store.write(lambda connection, now: completer.complete(connection, now, completion))
        COMPLETED.labels(completed.result.value).inc()
        note_given_up(completed.given_up)
        if completed.is_turn_due:
            self.store.wake("turns")
        if completed.is_delivery_due:
            self.store.wake("deliveries")
        return completed

    def _lease(self, connection: Connection, now: datetime, worker_id: str, maximum: int) -> Look[LeasedTurn]:
        due = turn_rows.due_conversations(connection, now, maximum)
        free = turn_messages.lock_free(connection, due) if due else set()
        ids = [conversation_id for conversation_id in due if conversation_id in free]
        leased = self._hold(connection, now, worker_id, ids) if ids else []
        if leased:
            return Look(tuple(leased))
        return Look((), _seconds_until(turn_rows.next_due(connection), now))

    def _hold(self, connection: Connection, now: datetime, worker_id: str, ids: Sequence[UUID]) -> list[LeasedTurn]:
        work = turn_rows.work_of(connection, ids)
        bursts = turn_messages.bursts(connection, ids)
        conversations = find_conversations(connection, ids)
        waiting = outbox_rows.pending_by_conversation(connection, ids)
        # Everything was decided meanwhile: there is nothing to answer.
        turn_rows.delete_work(connection, [key for key in ids if key not in bursts])
        held = [
            (replace(work[key], attempts=work[key].attempts + 1), conversations[key], bursts[key])
            for key in ids
            if key in bursts
        ]
        leased = [self._leased(connection, now, worker_id, *one, waiting) for one in held]
        turn_rows.insert_turns(connection, [one.turn for one in leased])
        until = now + LEASE
        turn_rows.save_work(
            connection,
            [
                replace(one, due_at=until, leased_until=until, turn_id=got.turn.id)
                for (one, _, _), got in zip(held, leased, strict=True)
            ],
        )
        return leased

    def _leased(
        self,
        connection: Connection,
        now: datetime,
        worker_id: str,
        work: Work,
        conversation: Conversation,
        burst: Sequence[Message],
        waiting: Mapping[UUID, Sequence[Delivery]],
    ) -> LeasedTurn:
        turn = Turn(
            id=self.new_id(),
            account_id=conversation.account_id,
            conversation_id=conversation.id,
            worker_id=worker_id,
            attempt=work.attempts,
            floor_number=conversation.floor.number,
            message_ids=tuple(message.id for message in burst),
            leased_at=now,
        )
        said = turn_messages.history(connection, conversation, burst, waiting.get(conversation.id, ()))
        since = min(message.ingested_at for message in burst)
        return LeasedTurn(turn, conversation, tuple(burst), tuple(said), now + LEASE, since)


def _seconds_until(due: datetime | None, now: datetime) -> float | None:
    return None if due is None else (due - now).total_seconds()


def _held(connection: Connection, turn_id: UUID) -> Work | None:
    turn = turn_rows.find_turn(connection, turn_id)
    if turn is None:
        return None
    lock_conversation(connection, turn.conversation_id)
    work = turn_rows.lock_work(connection, turn.conversation_id)
    return work if work is not None and work.turn_id == turn_id else None


def _abandon(connection: Connection, now: datetime, turn_id: UUID, reason: str, retry_after: timedelta) -> None:
    held = _held(connection, turn_id)
    turn = turn_rows.find_turn(connection, turn_id)
    if turn is None:
        raise TurnNotFound(turn_id=str(turn_id))
    if turn.result is TurnResult.ABANDONED:
        return
    if held is None:
        raise TurnLeaseLost(turn_id=str(turn_id))
    turn_rows.end_turn(connection, replace(turn, reason_code=reason), TurnResult.ABANDONED, now, TurnRecord())
    free = replace(
        held,
        due_at=now + retry_after,
        turn_id=None,
        leased_until=None,
        attempts=attempts_after_abandon(held.attempts),
    )
    turn_rows.save_work(connection, [free])
