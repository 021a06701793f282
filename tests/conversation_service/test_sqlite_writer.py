"""In which order SQLite's one writer works, and when it commits."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, insert, select

from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.sqlite_store import GROUP_SECONDS
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import REQUEST_IDS

LONGEST_WAIT = 60.0
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def _note(done: list[str], name: str, _connection: Connection, _now: datetime) -> None:
    done.append(name)


def _insert(row_id: UUID, connection: Connection, now: datetime) -> None:
    connection.execute(insert(REQUEST_IDS).values(id=row_id, method="m", conversation_id=row_id, created_at=now))


def _ids(connection: Connection, _now: datetime) -> set[UUID]:
    return set(connection.execute(select(REQUEST_IDS.c.id)).scalars())


@asynccontextmanager
async def busy(store: Store) -> AsyncIterator[None]:
    """Keep the writer busy while inside."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_connection: Connection, _now: datetime) -> None:
        begun.set()
        go_on.wait(LONGEST_WAIT)

    waiting = asyncio.create_task(store.write(wait))
    assert await asyncio.to_thread(begun.wait, LONGEST_WAIT)
    try:
        yield
    finally:
        go_on.set()
        await waiting


async def test_given_a_busy_writer_when_urgent_work_comes_last_then_it_is_done_first_and_all_in_their_order(
    store: Store,
) -> None:
    done: list[str] = []
    async with busy(store):
        usual = [asyncio.create_task(store.write(partial(_note, done, name))) for name in "abc"]
        urgent = [asyncio.create_task(store.write(partial(_note, done, name), is_urgent=True)) for name in "xy"]
        await asyncio.sleep(0)
    await asyncio.gather(*usual, *urgent)
    assert done == ["x", "y", "a", "b", "c"]


async def test_given_work_that_takes_long_when_more_waits_then_what_is_done_is_committed_before_the_rest(
    store: Store,
) -> None:
    is_committed = threading.Event()

    def take_long(_connection: Connection, _now: datetime) -> None:
        ends_at = time.monotonic() + GROUP_SECONDS
        while time.monotonic() < ends_at:
            pass

    async def first() -> None:
        await store.write(take_long)
        is_committed.set()

    began = asyncio.create_task(first())
    await asyncio.sleep(0)
    assert await store.write(lambda _connection, _now: is_committed.wait(LONGEST_WAIT))
    await began


async def test_given_work_that_waits_when_the_store_is_closed_then_all_of_it_is_stored(database_url: str) -> None:
    ids = [uuid4() for _ in range(5)]
    async with open_store(database_url) as store:
        async with busy(store):
            writing = [asyncio.create_task(store.write(partial(_insert, row_id))) for row_id in ids]
            await asyncio.sleep(0)
            closing = asyncio.create_task(store.aclose())
            await asyncio.sleep(0)
        await closing
        await asyncio.gather(*writing)
    async with open_store(database_url) as again:
        assert await again.read(_ids) == set(ids)


async def test_given_commits_when_a_moment_has_passed_then_the_file_has_them_without_its_log(
    database_url: str, tmp_path: Path
) -> None:
    path = Path(database_url.removeprefix("sqlite:///"))
    row_id = uuid4()

    def held_by_a_copy() -> set[UUID]:
        copy = tmp_path / f"copy-{uuid4()}.db"
        shutil.copy(path, copy)
        with closing(sqlite3.connect(copy)) as connection:
            return {UUID(hex=str(row[0]).replace("-", "")) for row in connection.execute("SELECT id FROM request_ids")}

    async with open_store(database_url) as store:
        await store.write(partial(_insert, row_id))
        async with asyncio.timeout(60):
            while row_id not in await asyncio.to_thread(held_by_a_copy):
                await asyncio.sleep(0.05)
