"""Transactions, clocks and wake-ups of both stores."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, insert, select

from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import REQUEST_IDS


class Oops(Exception):
    """What a failing piece of work raises."""


def _insert(row_id: UUID) -> Any:
    def work(connection: Connection, now: datetime) -> datetime:
        connection.execute(insert(REQUEST_IDS).values(id=row_id, method="m", conversation_id=row_id, created_at=now))
        return now

    return work


def _ids(connection: Connection, _now: datetime) -> set[UUID]:
    return set(connection.execute(select(REQUEST_IDS.c.id)).scalars())


async def test_given_work_when_written_then_it_can_be_read_back_with_its_time(store: Store) -> None:
    row_id = uuid4()
    at = await store.write(_insert(row_id))
    found = await store.read(lambda connection, _now: connection.execute(select(REQUEST_IDS)).one())
    assert (found.id, found.created_at) == (row_id, at)
    assert found.created_at.tzinfo is UTC


async def test_given_work_that_fails_when_written_beside_others_then_it_rolls_back_alone(store: Store) -> None:
    good = [uuid4() for _ in range(20)]

    def fail(connection: Connection, now: datetime) -> None:
        _insert(uuid4())(connection, now)
        raise Oops

    results = await asyncio.gather(
        *(store.write(_insert(row_id)) for row_id in good[:10]),
        store.write(fail),
        *(store.write(_insert(row_id)) for row_id in good[10:]),
        return_exceptions=True,
    )
    assert [type(result) for result in results if isinstance(result, BaseException)] == [Oops]
    assert await store.read(_ids) == set(good)


async def test_given_a_cancelled_caller_when_others_write_then_theirs_is_stored(store: Store) -> None:
    row_id = uuid4()
    cancelled = asyncio.create_task(store.write(_insert(uuid4())))
    kept = asyncio.create_task(store.write(_insert(row_id)))
    await asyncio.sleep(0)
    cancelled.cancel()
    await kept
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert row_id in await store.read(_ids)


async def test_given_a_moved_clock_when_work_runs_then_it_sees_the_moved_time(store: Store, clock: Any) -> None:
    before = await store.write(lambda _connection, now: now)
    clock.advance(3600)
    after = await store.write(lambda _connection, now: now)
    assert timedelta(minutes=59) < after - before < timedelta(minutes=61)


async def test_given_a_waiter_when_its_topic_is_woken_then_it_returns_before_the_poll(store: Store) -> None:
    waiting = asyncio.create_task(store.wait_for_work("turns", 120))
    await asyncio.sleep(0)
    store.wake("turns")
    await asyncio.wait_for(waiting, 60)


async def test_given_a_migrated_database_when_checked_then_it_is_ready(store: Store) -> None:
    assert await store.check()
