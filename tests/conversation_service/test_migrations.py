"""Migrations: equal to the tables, once, one at a time, and never over tables of others."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from support.postgres import PostgresCluster

from conversation_service.adapters.open_store import UnknownDatabase, open_store
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import METADATA
from conversation_service.migrate import ForeignTables, migrate

GUIDE_TABLE = "CREATE TABLE kommo_messages (id integer PRIMARY KEY, content text)"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database, of both kinds in turn."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("empty_postgres_url")
        return url
    return f"sqlite:///{tmp_path}/var/mesh.db"


async def _run(url: str, *statements: str) -> None:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as file:
            for statement in statements:
                file.execute(statement)
        file.close()
        return
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def _differences(connection: Connection, _now: object) -> list[Any]:
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA)
    return found


def _revision(connection: Connection, _now: object) -> Any:
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


async def test_given_a_migrated_database_when_compared_with_the_tables_then_they_are_equal(store: Store) -> None:
    assert await store.read(_differences) == []


async def test_given_an_empty_database_when_migrated_twice_then_it_is_ready_and_the_second_changes_nothing(
    empty_url: str,
) -> None:
    async with open_store(empty_url) as store:
        assert not await store.check()
        await migrate(empty_url)
        assert await store.check()
        await migrate(empty_url)
        assert await store.check()


async def test_given_an_empty_database_when_migrated_by_two_at_once_then_both_end_well(empty_url: str) -> None:
    await asyncio.gather(*(migrate(empty_url) for _ in range(2)))
    async with open_store(empty_url) as store:
        assert await store.check()


async def test_given_tables_of_others_when_migrated_then_it_is_refused_and_nothing_is_changed(empty_url: str) -> None:
    await _run(empty_url, GUIDE_TABLE, "INSERT INTO kommo_messages VALUES (1, 'theirs')")
    with pytest.raises(ForeignTables, match="already has kommo_messages"):
        await migrate(empty_url)
    async with open_store(empty_url) as store:
        assert await store.read(lambda c, _now: c.scalar(text("SELECT content FROM kommo_messages"))) == "theirs"
        found = await store.read(lambda c, _now: set(_tables(c)))
    assert found == {"kommo_messages"}


def _tables(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return list(connection.execute(text(query)).scalars())


async def test_given_a_schema_of_a_later_release_when_checked_then_this_release_serves_on(
    store: Store, database_url: str
) -> None:
    await _run(database_url, "UPDATE alembic_version SET version_num = 'later'")
    assert await store.check()


async def test_given_the_command_when_run_then_it_migrates_or_says_in_one_line_why_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mesh.db"
    environment = {**os.environ, "MESH_DATABASE_URL": url}
    command = [sys.executable, "-m", "conversation_service.migrate"]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    await _run(f"sqlite:///{tmp_path}/guide.db", GUIDE_TABLE)
    environment["MESH_DATABASE_URL"] = f"sqlite:///{tmp_path}/guide.db"
    refused = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("migration failed: the database already has kommo_messages")
    assert refused.stderr.count("\n") == 1


async def test_given_an_address_of_another_kind_when_migrated_then_it_is_refused() -> None:
    with pytest.raises(UnknownDatabase):
        await migrate("mysql://localhost/mesh")


async def test_given_another_role_with_select_granted_when_it_reads_then_it_sees_no_row_of_any_table(
    postgres_cluster: PostgresCluster, postgres_url: str
) -> None:
    database = postgres_url.split("/")[3].split("?")[0]
    chat = uuid4()
    postgres_cluster.query(
        f"""
        INSERT INTO kommo_conversations (id, account_id, kommo_chat_id, last_message_at, floor_changed_at,
          episode_started_at, created_at, updated_at) VALUES ('{chat}', 'a', 'c', now(), now(), now(), now(), now());
        INSERT INTO kommo_messages (id, account_id, conversation_id, role, created_at, ingested_at)
          VALUES ('{uuid4()}', 'a', '{chat}', 'user', now(), now());
        INSERT INTO turn_work (conversation_id, account_id, due_at, first_unread_at, last_unread_at)
          VALUES ('{chat}', 'a', now(), now(), now());
        INSERT INTO turns (id, account_id, conversation_id, worker_id, attempt, floor_number, leased_at)
          VALUES ('{uuid4()}', 'a', '{chat}', 'w', 1, 1, now());
        INSERT INTO deliveries (id, account_id, conversation_id, sequence, kind, text, floor_number, created_at)
          VALUES ('{uuid4()}', 'a', '{chat}', 1, 'reply', 't', 1, now());
        INSERT INTO delivery_work (conversation_id, lane, account_id, due_at) VALUES ('{chat}', 'message', 'a', now());
        INSERT INTO rate_buckets VALUES ('a', 1, now());
        INSERT INTO monthly_usage VALUES ('a', '2026-11', 1, 0);
        INSERT INTO salesbot_continuations VALUES ('a', 'l', 'https://a.kommo.com', now(), now(), NULL);
        INSERT INTO relay_requests VALUES ('a', gen_random_uuid(), gen_random_uuid(), now());
        INSERT INTO request_ids VALUES ('{uuid4()}', 'm', '{chat}', now());
        CREATE ROLE "reader_{database}" LOGIN;
        GRANT USAGE ON SCHEMA public TO "reader_{database}";
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO "reader_{database}";
        """,
        database,
    )
    owner = await asyncpg.connect(postgres_cluster.url(database))
    reader = await asyncpg.connect(postgres_cluster.url(database, f"reader_{database}"))
    try:
        tables = [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert set(tables) == {*METADATA.tables, "alembic_version"}
        for table in tables:
            assert await owner.fetchval(f'SELECT count(*) FROM "{table}"') == 1, table
            assert await reader.fetchval(f'SELECT count(*) FROM "{table}"') == 0, table
    finally:
        await owner.close()
        await reader.close()
