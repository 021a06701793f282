"""Use cases of the outbox: leasing deliveries, reports of them, dead letters."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Connection

from conversation_service.adapters import delivery_lease, outbox_rows, outcomes
from conversation_service.adapters.conversations import find_conversations, lock_conversation
from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.outbox_rows import LaneKey
from conversation_service.adapters.rate_rows import exhausted_accounts
from conversation_service.adapters.requests import claim_request
from conversation_service.adapters.store import Store
from conversation_service.adapters.turn_messages import lock_free
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    MAX_ATTEMPTS,
    Delivery,
    DeliveryNotDead,
    DeliveryNotFound,
    DeliveryState,
    PersonHasFloor,
    Report,
    Retry,
)
from conversation_service.use_cases.account_rules import escalator_of, sending_rules
from conversation_service.use_cases.long_poll import CALLER_GONE, Look, long_poll
from conversation_service.use_cases.reports import Reporter
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import counter

REPLAY = "ReplayDelivery"
REPORTED = counter("deliveries_reported_total", "Reports of deliveries, by the state after them.", ("state",))

log = get_logger()


@dataclass(frozen=True, slots=True)
class Reported:
    """A delivery after a report, the conversation's next one where the caller now holds it, else whether one waits."""

    delivery: Delivery
    next: Leased | None = None
    is_more_due: bool = False


@dataclass(frozen=True, slots=True)
class _Round:
    look: Look[Leased]
    exhausted: dict[str, datetime]


@dataclass(frozen=True)
class OutboxUseCases:
    """The use cases of the outbox, bound to one store and its accounts.

    Args:
        random: gives numbers from 0 to 1, for the jitter of backoffs.
        new_id: makes ids of leases.
        max_attempts: attempts after which a delivery is given up.
    """

    store: Store
    accounts: Accounts
    random: Callable[[], float]
    new_id: Callable[[], UUID] = uuid4
    max_attempts: int = MAX_ATTEMPTS

    async def lease_deliveries(self, maximum: int, wait_seconds: float, drain: asyncio.Event) -> tuple[Leased, ...]:
        """Return deliveries that are due, now held by the caller; waits for some when none is.

        Args:
            maximum: most of them.
            wait_seconds: how long to wait at most.
            drain: set when the server is about to stop.
        """

        async def look() -> Look[Leased]:
            exhausted: dict[str, datetime] = {}
            while True:
                seen = await self.store.write(partial(self._lease, maximum=maximum, exhausted=dict(exhausted)))
                if seen.look.found or not seen.exhausted.keys() - exhausted.keys():
                    return seen.look
                # All that was due belongs to accounts without tokens, which must not hold up the others.
                exhausted |= seen.exhausted

        async def give_back(leased: Leased) -> None:
            await self.report_delivery(leased.delivery.id, leased.lease_id, Retry(CALLER_GONE), worker_id="")

        return await long_poll(self.store, "deliveries", look, give_back, wait_seconds, drain)

    async def report_delivery(self, delivery_id: UUID, lease_id: UUID, report: Report, worker_id: str) -> Reported:
        """Take what became of an attempt; return the delivery after it.

        With it comes the conversation's next delivery for a worker that names itself, where it may leave now. A success
        counts even without the lease; any other report on what has ended changes nothing.

        Raises:
            DeliveryNotFound: no delivery has the id.
            DeliveryLeaseLost: another worker holds it, and the report is no success.
        """
        reporter = Reporter(self.random(), self.max_attempts, escalator_of(self.accounts, self.new_id))

        def work(connection: Connection, now: datetime) -> Reported:
            found, conversation = _lock(connection, delivery_id)
            delivery = reporter.report(connection, conversation, found, lease_id, report, now)
            if delivery.state is DeliveryState.PENDING:
                return Reported(delivery)
            is_wanted = bool(worker_id) and delivery.state is DeliveryState.SENT
            following = self._next(connection, (conversation.id, found.lane), now) if is_wanted else None
            is_left = following is None and outbox_rows.has_pending(connection, conversation.id, found.lane)
            # What is given up may have called a person, and there are actions to carry out then.
            is_more_due = is_left or delivery.state is DeliveryState.DEAD
            return Reported(delivery, following, is_more_due)

        reported = await self.store.write(work)
        REPORTED.labels(reported.delivery.state.value).inc()
        if reported.delivery.state is DeliveryState.DEAD:
            log.warning("delivery.given_up", delivery_id=str(delivery_id), reason=reported.delivery.reason)
        if reported.is_more_due:
            self.store.wake("deliveries")
        return reported

    async def list_dead_letters(
        self, account_id: str, before: tuple[datetime, UUID] | None, size: int
    ) -> list[Delivery]:
        """Return deliveries that could not be sent, the newest first, after the one named by time and id."""
        return await self.store.read(
            lambda connection, _now: outbox_rows.dead_deliveries(connection, account_id, before, size)
        )

    async def replay_delivery(self, delivery_id: UUID, request_id: UUID, *, force: bool) -> Delivery:
        """Make a dead letter due again, once for each `request_id`, and return it.

        Raises:
            DeliveryNotFound: no delivery has the id.
            DeliveryNotDead: it waits, was sent or was dropped.
            PersonHasFloor: a person answers the client, and it is not forced.
        """
        replayed = await self.store.write(
            lambda connection, now: _replay(connection, now, delivery_id, request_id, force=force)
        )
        self.store.wake("deliveries")
        return replayed

    def _lease(self, connection: Connection, now: datetime, *, maximum: int, exhausted: dict[str, datetime]) -> _Round:
        rules = sending_rules(self.accounts, self.new_id)
        without = exhausted_accounts(connection, rules.limit_of, now) | exhausted
        due = outbox_rows.due_lanes(connection, now, without, maximum)
        free = lock_free(connection, list({conversation_id for conversation_id, _ in due})) if due else set()
        conversations = find_conversations(connection, free) if free else {}
        lanes = [key for key in due if key[0] in free]
        seen = delivery_lease.lease_heads(connection, conversations, lanes, rules, self.new_id, now)
        without |= seen.exhausted
        if seen.leased:
            return _Round(Look(seen.leased), without)
        times = [*without.values(), outbox_rows.next_due(connection, without)]
        next_seconds = min(((at - now).total_seconds() for at in times if at is not None), default=None)
        return _Round(Look((), next_seconds), exhausted | seen.exhausted)

    def _next(self, connection: Connection, key: LaneKey, now: datetime) -> Leased | None:
        work = outbox_rows.lock_work(connection, *key)
        if work is None or work.due_at > now:
            return None
        current = lock_conversation(connection, key[0])
        rules = sending_rules(self.accounts, self.new_id)
        leased = delivery_lease.lease_heads(connection, {current.id: current}, [key], rules, self.new_id, now).leased
        return leased[0] if leased else None


def _lock(connection: Connection, delivery_id: UUID) -> tuple[Delivery, Conversation]:
    found = outbox_rows.find_delivery(connection, delivery_id)
    if found is None:
        raise DeliveryNotFound(delivery_id=str(delivery_id))
    conversation = lock_conversation(connection, found.conversation_id)
    # Read again under the lock: another report may have ended it.
    return outbox_rows.find_delivery(connection, delivery_id) or found, conversation


def _replay(connection: Connection, now: datetime, delivery_id: UUID, request_id: UUID, *, force: bool) -> Delivery:
    delivery, conversation = _lock(connection, delivery_id)
    if not claim_request(connection, request_id, REPLAY, conversation.id, now):
        return delivery
    if delivery.state is not DeliveryState.DEAD:
        raise DeliveryNotDead(delivery_id=str(delivery.id), state=delivery.state.value)
    if not (force or delivery.kind.is_action or conversation.floor.is_with_bot):
        raise PersonHasFloor(delivery_id=str(delivery.id))
    sequence = conversation.delivery_sequence + 1
    replayed = replace(
        delivery,
        state=DeliveryState.PENDING,
        # Behind what waits: it would overtake a delivery that a worker may hold.
        sequence=sequence,
        # An action keeps the number of its hand-over, of which it is the one of its kind.
        floor_number=delivery.floor_number if delivery.kind.is_action else conversation.floor.number,
        forced=force or delivery.kind.is_action,
        attempt_count=0,
        # Somebody has just said that it is still worth sending: its age counts from here.
        first_unread_at=now,
        finished_at=None,
    )
    outcomes.set_delivery_sequence(connection, conversation.id, sequence)
    outbox_rows.save_deliveries(connection, [replayed])
    outbox_rows.add_work(connection, conversation.id, conversation.account_id, now, replayed.lane)
    return replayed
