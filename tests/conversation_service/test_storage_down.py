"""A database that is stopped, locked or slow: refused at once, and nothing half stored."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Connection, func, select
from support.postgres import PostgresCluster, running_postgres

from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.store import StorageUnavailable
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.ingest import ClientMessage, Content, IngestOutcome, Item
from conversation_service.migrate import migrate, migrate_sqlite
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.queries import QueryUseCases
from kommomesh_runtime.accounts import Account, Accounts

ACCOUNTS = Accounts.of(Account(id="12345", subdomain="test"))
ITEM = Item("12345", "chat-1", ClientMessage(Content("m1", "hola")))
# A call gives up within a second; without its own limit it would never end. A busy machine gets some more.
AT_ONCE = 60.0


@pytest.fixture
async def cluster() -> AsyncIterator[PostgresCluster]:
    with running_postgres(is_durable=True) as running:
        await migrate(running.url())
        yield running


async def _eventually(ingest: IngestUseCases, item: Item) -> IngestOutcome:
    """Return what became of an item, sent again as Kommo would."""
    async with asyncio.timeout(120):
        while True:
            with suppress(StorageUnavailable):
                return (await ingest.ingest([item]))[0].outcome


def _counts(connection: Connection, _now: object) -> tuple[int, int]:
    rows = [connection.scalar(select(func.count()).select_from(table)) for table in (CONVERSATIONS, MESSAGES)]
    return (rows[0] or 0, rows[1] or 0)


async def test_given_a_stopped_database_when_ingested_then_it_is_unavailable_at_once_and_whole_after_its_start(
    cluster: PostgresCluster,
) -> None:
    async with open_store(cluster.url()) as store:
        ingest = IngestUseCases(store, ACCOUNTS)
        await _eventually(ingest, ITEM)
        cluster.stop()
        other = Item("12345", "chat-2", ClientMessage(Content("m2", "hola")))
        for _ in range(3):
            async with asyncio.timeout(AT_ONCE):
                with pytest.raises(StorageUnavailable):
                    await ingest.ingest([other])
        with pytest.raises(StorageUnavailable):
            await QueryUseCases(store).list_conversations("12345", None, 10, None)
        assert not await store.check()
        cluster.start()
        assert await _eventually(ingest, other) is IngestOutcome.STORED
        assert await store.read(_counts) == (2, 2)
        assert await store.check()


async def test_given_a_database_that_was_restarted_when_ingested_then_the_ended_connections_are_no_matter(
    cluster: PostgresCluster,
) -> None:
    async with open_store(cluster.url(), acquire_seconds=10) as store:
        await asyncio.gather(*(store.read(_counts) for _ in range(5)))
        cluster.stop()
        cluster.start()
        [result] = await IngestUseCases(store, ACCOUNTS, limit_seconds=20).ingest([ITEM])
        assert result.outcome is IngestOutcome.STORED


async def test_given_a_database_that_does_not_answer_when_ingested_then_it_is_unavailable_and_stored_once(
    postgres_url: str,
) -> None:
    async with open_store(postgres_url) as store:
        ingest = IngestUseCases(store, ACCOUNTS)
        blocker = await asyncpg.connect(postgres_url)
        try:
            transaction = blocker.transaction()
            await transaction.start()
            await blocker.execute("LOCK TABLE kommo_conversations IN ACCESS EXCLUSIVE MODE")
            for _ in range(2):
                async with asyncio.timeout(AT_ONCE):
                    with pytest.raises(StorageUnavailable):
                        await ingest.ingest([ITEM])
            await transaction.rollback()
        finally:
            await blocker.close()
        await _eventually(ingest, ITEM)
        assert await store.read(_counts) == (1, 1)


async def test_given_a_database_that_does_not_answer_when_read_or_written_then_the_stores_own_limit_ends_it(
    postgres_url: str,
) -> None:
    async with open_store(postgres_url, limit_seconds=1.5) as store:
        assert await store.check()
        blocker = await asyncpg.connect(postgres_url)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE kommo_conversations IN ACCESS EXCLUSIVE MODE")
                for call in (store.read, store.write):
                    async with asyncio.timeout(AT_ONCE):
                        with pytest.raises(StorageUnavailable):
                            await call(_counts)
        finally:
            await blocker.close()
        assert await store.read(_counts) == (0, 0)


async def test_given_a_database_that_was_never_there_when_ingested_then_it_is_unavailable_at_once(
    tmp_path: Path,
) -> None:
    async with open_store(f"postgresql://nobody@/mesh?host={tmp_path}") as store:
        ingest = IngestUseCases(store, ACCOUNTS)
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(StorageUnavailable):
                await ingest.ingest([ITEM])
        assert not await store.check()


async def test_given_a_locked_file_when_ingested_then_it_is_unavailable_and_stored_once_it_is_free(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mesh.db"
    migrate_sqlite(str(path))
    async with open_store(f"sqlite:///{path}") as store:
        ingest = IngestUseCases(store, ACCOUNTS)
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(AT_ONCE):
                with pytest.raises(StorageUnavailable):
                    await ingest.ingest([ITEM])
            other.execute("ROLLBACK")
        finally:
            other.close()
        await _eventually(ingest, ITEM)
        assert await store.read(_counts) == (1, 1)


async def test_given_a_file_that_is_no_database_when_read_then_it_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "mesh.db"
    path.write_bytes(b"not a database" * 1000)
    async with open_store(f"sqlite:///{path}") as store:
        with pytest.raises(StorageUnavailable):
            await IngestUseCases(store, ACCOUNTS).ingest([ITEM])
        assert not await store.check()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_given_a_database_without_tables_when_ingested_then_it_is_unavailable_and_no_item_is_rejected(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/mesh.db" if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    async with open_store(url) as store:
        with pytest.raises(StorageUnavailable):
            await IngestUseCases(store, ACCOUNTS).ingest([ITEM])
