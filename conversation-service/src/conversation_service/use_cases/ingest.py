"""Storing what Kommo reports: what waits together is committed together."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters.continuation_rows import store_continuations
from conversation_service.adapters.delivery_rows import settle_by_echo
from conversation_service.adapters.echo_rows import note_echoes
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.ingest_rows import ConcurrentDuplicate, Entry, is_item_fault, store_entries
from conversation_service.adapters.relay_statuses import REPLAYED, replayed_places, take_statuses
from conversation_service.adapters.store import StorageUnavailable, Store
from conversation_service.domain.cleaning import ItemRejected, cleaned, cleaned_continuation, cleaned_status
from conversation_service.domain.continuations import Continuation
from conversation_service.domain.floor import ResumeAfter
from conversation_service.domain.ids import TimeOrderedIds
from conversation_service.domain.ingest import IngestOutcome, IngestResult, Item, Rules
from conversation_service.domain.proof import DEFAULT_LOOKS, Looks
from conversation_service.domain.relaying import StatusReport
from conversation_service.use_cases.account_rules import escalator_of, handoff_rules
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profiles import Profiles
from kommomesh_runtime.telemetry import counter

UNKNOWN_ACCOUNT = "account_id: the account is not configured"
NOT_STORABLE = "the item cannot be stored"
MOST_ATTEMPTS = 5

INGESTED = counter("ingest_items_total", "Items of IngestMessages.", ("outcome",))

Arriving = Item | Continuation | StatusReport
Storable = Entry | Continuation | StatusReport

log = get_logger()


def rules_of(account: Account) -> Rules:
    """Return what an account's settings say of its messages."""
    age = account.max_message_age_seconds
    return Rules(
        quiet=timedelta(seconds=account.quiet_seconds),
        quiet_max=timedelta(seconds=account.quiet_max_seconds),
        resume_after=ResumeAfter(
            timedelta(seconds=account.resume_after_seconds), timedelta(seconds=account.failure_resume_after_seconds)
        ),
        max_message_age=None if age is None else timedelta(seconds=age),
        handoff=handoff_rules(account),
    )


@dataclass(frozen=True, slots=True)
class _Call:
    items: Sequence[Arriving]
    done: "asyncio.Future[list[IngestResult]]"


class IngestUseCases:
    """Stores items; calls that arrive while a transaction runs share the next one.

    Args:
        store: the database.
        accounts: the accounts that are served; items of others are not stored.
        most_items: items a transaction; a call is never divided, so one may be larger.
        limit_seconds: a call that takes longer has failed.
        looks: when messages are looked for that Kommo has accepted.
        new_id: makes ids, each greater than the one before; None means by the clock.
        profiles: the business profiles, for what is written when a person is called.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        *,
        most_items: int = 1000,
        limit_seconds: float = 0.9,
        looks: Looks = DEFAULT_LOOKS,
        new_id: Callable[[], UUID] | None = None,
        profiles: Profiles | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._rules: dict[str, tuple[Account, Rules]] = {}
        self._most_items = most_items
        self._limit_seconds = limit_seconds
        self._looks = looks
        self._new_id = new_id or TimeOrderedIds(_milliseconds, secrets.randbits)
        self._escalator = escalator_of(accounts, profiles or Profiles(), self._new_id)
        self._waiting: deque[_Call] = deque()
        self._task: asyncio.Task[None] | None = None

    async def ingest(self, items: Sequence[Arriving]) -> list[IngestResult]:
        """Store items, each once, and return what became of each, in their order.

        Raises:
            StorageUnavailable: nothing is known to be stored; repeat the call.
        """
        call = _Call(items, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store_waiting())
        try:
            async with asyncio.timeout(self._limit_seconds):
                results = await call.done
        except TimeoutError:
            raise StorageUnavailable from None
        for result in results:
            INGESTED.labels(result.outcome.value).inc()
        return results

    async def aclose(self) -> None:
        """Finish what was begun."""
        if self._task:
            await asyncio.wait({self._task})

    async def _store_waiting(self) -> None:
        while calls := self._next_calls():
            try:
                results = await self._store_items([item for call in calls for item in call.items])
            except StorageUnavailable as error:
                _fail(calls, error)
            except Exception as error:
                await self._store_apart(calls, error)
            else:
                _resolve(calls, results)

    async def _store_apart(self, calls: Sequence[_Call], error: Exception) -> None:
        # What went wrong is the doing of one of them; the others must not fail with it.
        log.error("batch.failed", calls=len(calls), error=type(error).__name__)
        if len(calls) == 1:
            _fail(calls, error)
            return
        for call in calls:
            try:
                results = await self._store_items(call.items)
            except Exception as own_error:
                _fail([call], own_error)
            else:
                _resolve([call], results)

    def _next_calls(self) -> list[_Call]:
        calls: list[_Call] = []
        number = 0
        while self._waiting and (not calls or number + len(self._waiting[0].items) <= self._most_items):
            call = self._waiting.popleft()
            # Who has gone away repeats the call or does not care.
            if not call.done.done():
                calls.append(call)
                number += len(call.items)
        return calls

    async def _store_items(self, items: Sequence[Arriving]) -> list[IngestResult]:
        checked = [self._check(item) for item in items]
        entries = [entry for entry in checked if not isinstance(entry, IngestResult)]
        stored = iter(await self._store_entries(entries) if entries else [])
        return [entry if isinstance(entry, IngestResult) else next(stored) for entry in checked]

    def _check(self, item: Arriving) -> Storable | IngestResult:
        try:
            clean = _cleaned(item)
        except ItemRejected as problem:
            return IngestResult(IngestOutcome.REJECTED, error=str(problem))
        account = self._accounts.find(clean.account_id)
        if account is None:
            return IngestResult(IngestOutcome.ACCOUNT_UNKNOWN, error=UNKNOWN_ACCOUNT)
        if not isinstance(clean, Item):
            return clean
        return Entry(clean, self._rules_of(account), self._new_id(), self._new_id())

    def _rules_of(self, account: Account) -> Rules:
        known = self._rules.get(account.id)
        if known is None or known[0] is not account:
            known = self._rules[account.id] = (account, rules_of(account))
        return known[1]

    async def _store_entries(self, entries: Sequence[Storable]) -> list[IngestResult]:
        def store_all(connection: Connection, now: datetime) -> list[IngestResult]:
            return _store_together(connection, entries, self._looks, self._escalator, now)

        def store_each(connection: Connection, now: datetime) -> list[IngestResult]:
            return [_store_alone(connection, entry, self._looks, self._escalator, now) for entry in entries]

        try:
            results = await self._write(store_all)
        except Exception as error:
            if not is_item_fault(error):
                raise
            log.warning("batch.divided", items=len(entries), error=type(error).__name__)
            results = await self._write(store_each)
        self._store.wake("turns")
        if any(_is_of_relay(entry) for entry in entries):
            self._store.wake("deliveries")
        return results

    async def _write(self, work: Callable[[Connection, datetime], list[IngestResult]]) -> list[IngestResult]:
        for _ in range(MOST_ATTEMPTS):
            try:
                return await self._store.write(work, limit_seconds=self._limit_seconds, is_urgent=True)
            except ConcurrentDuplicate:
                continue
        raise StorageUnavailable


def _cleaned(item: Arriving) -> Arriving:
    match item:
        case Continuation():
            return cleaned_continuation(item)
        case StatusReport():
            return cleaned_status(item)
        case Item():
            return cleaned(item)


def _is_of_relay(entry: Storable) -> bool:
    return isinstance(entry, StatusReport) or (isinstance(entry, Entry) and entry.item.is_of_relay)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def _resolve(calls: Sequence[_Call], results: Sequence[IngestResult]) -> None:
    begin = 0
    for call in calls:
        end = begin + len(call.items)
        if not call.done.done():
            call.done.set_result(list(results[begin:end]))
        begin = end


def _fail(calls: Sequence[_Call], error: Exception) -> None:
    for call in calls:
        if not call.done.done():
            call.done.set_exception(error)


def _store_together(
    connection: Connection, entries: Sequence[Storable], looks: Looks, escalator: Escalator, now: datetime
) -> list[IngestResult]:
    replayed = replayed_places(connection, entries, now)
    admitted = [entry for place, entry in enumerate(entries) if place not in replayed]
    events = [entry for entry in admitted if isinstance(entry, Entry)]
    waiting = [entry for entry in admitted if isinstance(entry, Continuation)]
    statuses = [entry for entry in admitted if isinstance(entry, StatusReport)]
    stored = store_entries(connection, events, partial(settle_by_echo, looks=looks), now) if events else []
    note_echoes(connection, events, now)
    kept = store_continuations(connection, waiting, now) if waiting else []
    told = take_statuses(connection, statuses, escalator, now)
    results = {Entry: iter(stored), Continuation: iter(kept), StatusReport: iter(told)}
    return [REPLAYED if place in replayed else next(results[type(entry)]) for place, entry in enumerate(entries)]


def _store_alone(
    connection: Connection, entry: Storable, looks: Looks, escalator: Escalator, now: datetime
) -> IngestResult:
    try:
        with connection.begin_nested():
            return _store_together(connection, [entry], looks, escalator, now)[0]
    except Exception as error:
        if not is_item_fault(error):
            raise
        log.warning("item.refused", error=type(error).__name__)
        return IngestResult(IngestOutcome.REJECTED, error=NOT_STORABLE)
