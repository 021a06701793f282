"""Use cases of the outbox: leasing deliveries, reports of them, dead letters."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Connection

from conversation_service.adapters import delivery_lease, outbox_rows, outcomes
from conversation_service.adapters.conversations import find_conversations, lock_conversation
from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.outbox_rows import LaneKey
from conversation_service.adapters.rate_rows import Low, low_accounts
from conversation_service.adapters.requests import claim_request
from conversation_service.adapters.store import Store
from conversation_service.adapters.turn_messages import lock_free
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    MAX_ATTEMPTS,
    Delivery,
    DeliveryKind,
    DeliveryNotDead,
    DeliveryNotFound,
    DeliveryState,
    Opened,
    PersonHasFloor,
    Report,
    Retry,
)
from conversation_service.domain.proof import DEFAULT_LOOKS, Looks
from conversation_service.domain.usage import QuotaAlarm, Usage
from conversation_service.use_cases.account_rules import account_of, escalator_of, sending_rules
from conversation_service.use_cases.given_up import count_reported, note_dead, note_given_up, note_proofs
from conversation_service.use_cases.long_poll import CALLER_GONE, Look, long_poll
from conversation_service.use_cases.quota import QuotaWatch, tell, usage_now
from conversation_service.use_cases.reports import Reporter
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profiles import Profiles

REPLAY = "ReplayDelivery"

log = get_logger()


@dataclass(frozen=True, slots=True)
class Reported:
    """A delivery after a report, the conversation's next one where the caller now holds it, else whether one waits.

    Args:
        given_up: what was found too old on the way to the next one.
        proved: of a proof, the messages that it decided.
        quota: the share of the month's messages that it brought the account to, where somebody has to hear of it.
    """

    delivery: Delivery
    next: Leased | None = None
    is_more_due: bool = False
    given_up: tuple[Delivery, ...] = ()
    proved: tuple[Delivery, ...] = ()
    quota: QuotaAlarm | None = None


@dataclass(frozen=True, slots=True)
class _Round:
    look: Look[Leased]
    low: Low
    given_up: tuple[Delivery, ...]


@dataclass(frozen=True)
class OutboxUseCases:
    """The use cases of the outbox, bound to one store and its accounts.

    Args:
        random: gives numbers from 0 to 1, for the jitter of backoffs.
        new_id: makes ids of leases.
        max_attempts: attempts after which a delivery is given up.
        profiles: the accounts' hours and fixed texts.
        looks: when messages are looked for that Kommo has accepted.
    """

    store: Store
    accounts: Accounts
    random: Callable[[], float]
    new_id: Callable[[], UUID] = uuid4
    max_attempts: int = MAX_ATTEMPTS
    profiles: Profiles = field(default_factory=Profiles)
    looks: Looks = DEFAULT_LOOKS

    @property
    def quota(self) -> QuotaWatch:
        """What counts the messages of the accounts."""
        return QuotaWatch(self.accounts, self.new_id)

    async def lease_deliveries(self, maximum: int, wait_seconds: float, drain: asyncio.Event) -> tuple[Leased, ...]:
        """Return deliveries that are due, now held by the caller; waits for some when none is.

        Args:
            maximum: most of them.
            wait_seconds: how long to wait at most.
            drain: set when the server is about to stop.
        """

        async def look() -> Look[Leased]:
            low = Low({}, {})
            while True:
                known = Low(dict(low.exhausted), dict(low.short))
                seen = await self.store.write(partial(self._lease, maximum=maximum, low=known))
                note_given_up(seen.given_up)
                is_news = seen.low.exhausted.keys() - low.exhausted.keys() or seen.low.short.keys() - low.short.keys()
                if seen.look.found or not is_news:
                    return seen.look
                # All that was due belongs to accounts without tokens, which must not hold up the others.
                low = seen.low

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
        escalator = escalator_of(self.accounts, self.profiles, self.new_id)
        reporter = Reporter(self.random(), self.max_attempts, escalator, self.looks)

        def work(connection: Connection, now: datetime) -> Reported:
            found, conversation = _lock(connection, delivery_id)
            if found.kind is DeliveryKind.PROOF:
                proved = reporter.report_look(connection, conversation, found, lease_id, report, now)
                # What did not arrive has called a person, and there are actions to carry out then.
                return Reported(proved.look, is_more_due=bool(proved.decided), proved=proved.decided)
            delivery = reporter.report(connection, conversation, found, lease_id, report, now)
            quota = self.quota.count(connection, found, delivery, report, now)
            is_opened = isinstance(report, Opened)
            if delivery.state is DeliveryState.PENDING and not is_opened:
                return Reported(delivery)
            is_wanted = bool(worker_id) and (is_opened or delivery.state is DeliveryState.SENT)
            key = (conversation.id, found.lane)
            following, given_up = self._next(connection, key, now) if is_wanted else (None, ())
            is_left = following is None and outbox_rows.has_pending(connection, conversation.id, found.lane)
            # What is given up may have called a person, and there are actions to carry out then.
            is_more_due = is_left or delivery.state is DeliveryState.DEAD or quota is not None
            # With a relay, what ends in one lane makes something due in another.
            is_more_due = is_more_due or bool(conversation.chat_ref_id)
            return Reported(delivery, following, is_more_due, given_up, quota=quota)

        reported = await self.store.write(work)
        count_reported(reported.delivery.state)
        if reported.delivery.state is DeliveryState.DEAD:
            note_dead(reported.delivery)
        note_given_up(reported.given_up)
        note_proofs(reported.proved)
        if reported.quota is not None:
            tell(reported.quota)
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

    async def monthly_usage(self, account_id: str) -> tuple[Usage, int | None]:
        """Return what an account has sent in the current month, and how much it may send; None where nobody said."""
        usage = await usage_now(self.store, account_id)
        return usage, account_of(self.accounts, account_id).monthly_message_quota

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
        log.info("delivery.replayed", delivery_id=str(delivery_id), kind=replayed.kind, is_forced=replayed.forced)
        self.store.wake("deliveries")
        return replayed

    def _lease(self, connection: Connection, now: datetime, *, maximum: int, low: Low) -> _Round:
        rules = sending_rules(self.accounts, self.profiles, self.new_id, self.looks)
        hint = low_accounts(connection, rules.limit_of, now)
        exhausted, short = hint.exhausted | low.exhausted, hint.short | low.short
        due = outbox_rows.due_lanes(connection, now, exhausted, maximum, short)
        free = lock_free(connection, list({conversation_id for conversation_id, _ in due})) if due else set()
        conversations = find_conversations(connection, free) if free else {}
        lanes = [key for key in due if key[0] in free]
        seen = delivery_lease.lease_heads(connection, conversations, lanes, rules, self.new_id, now)
        exhausted |= seen.exhausted
        short |= seen.short
        if seen.leased:
            return _Round(Look(seen.leased), low, seen.given_up)
        times = [*exhausted.values(), *short.values(), outbox_rows.next_due(connection, exhausted, short)]
        next_seconds = min(((at - now).total_seconds() for at in times if at is not None), default=None)
        known = Low(low.exhausted | seen.exhausted, low.short | seen.short)
        return _Round(Look((), next_seconds), known, seen.given_up)

    def _next(self, connection: Connection, key: LaneKey, now: datetime) -> tuple[Leased | None, tuple[Delivery, ...]]:
        """Return a lane's next delivery, where it may leave now, and what was too old before it."""
        work = outbox_rows.lock_work(connection, *key)
        if work is None or work.due_at > now:
            return None, ()
        current = lock_conversation(connection, key[0])
        rules = sending_rules(self.accounts, self.profiles, self.new_id, self.looks)
        seen = delivery_lease.lease_heads(connection, {current.id: current}, [key], rules, self.new_id, now)
        return (seen.leased[0] if seen.leased else None), seen.given_up


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
    if not (force or delivery.is_silent or conversation.floor.is_with_bot):
        raise PersonHasFloor(delivery_id=str(delivery.id))
    sequence = conversation.delivery_sequence + 1
    replayed = replace(
        delivery,
        state=DeliveryState.PENDING,
        # Behind what waits: it would overtake a delivery that a worker may hold.
        sequence=sequence,
        # What follows a call keeps the number of that call, of which it is the one of its kind.
        floor_number=conversation.floor.number if delivery.is_answer else delivery.floor_number,
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
