"""A database that the release before has filled: migrated up and down it keeps its rows, and serves both meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, text

from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.schema import alembic_config
from conversation_service.adapters.store import Store
from conversation_service.migrate import migrate, migrate_postgres, migrate_sqlite

BEFORE = "0002"
AT = "2026-03-02 12:00:00.000000"
CHAT = "0195c0de-0000-7000-8000-0000000000aa"
KEPT = ("kommo_conversations", "kommo_messages", "turn_work", "turns", "deliveries", "delivery_work", "rate_buckets")
LANES = {"reply": "message", "notice": "message", "note": "note", "task": "task", "lead_update": "lead_update"}
NEW = ("reminder", "courtesy", "alert_nobody_came", "proof", "relay", "mirror", "viewing")


@pytest.fixture(params=["sqlite", "postgresql"])
async def filled_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database of the release before with a row of each kind, of both kinds in turn."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("empty_postgres_url")
        await migrate_postgres(url, BEFORE)
    else:
        url = f"sqlite:///{tmp_path}/mesh.db"
        await asyncio.to_thread(migrate_sqlite, str(tmp_path / "mesh.db"), BEFORE)
    async with open_store(url, limit_seconds=30) as store:
        await store.write(_fill)
    return url


def _id(connection: Connection, number: int) -> str:
    plain = CHAT[:-2] + f"{number:02x}"
    return plain if connection.dialect.name == "postgresql" else plain.replace("-", "")


def _insert(connection: Connection, table: str, **values: object) -> None:
    """Insert a row by the columns that the release before knows."""
    written = ", ".join(repr(value) if isinstance(value, str) else str(value) for value in values.values())
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({written})"))


def _delivery(connection: Connection, number: int, kind: str, lane: str, floor_number: int = 1) -> None:
    ids = {"id": _id(connection, number), "account_id": "12345", "conversation_id": _id(connection, 0xAA)}
    said = {"lane": lane, "sequence": number, "kind": kind, "state": "pending", "text": f"dicho {number}"}
    _insert(connection, "deliveries", **ids, **said, floor_number=floor_number, created_at=AT)


def _work(connection: Connection, lane: str) -> None:
    chat = _id(connection, 0xAA)
    _insert(connection, "delivery_work", conversation_id=chat, lane=lane, account_id="12345", due_at=AT)


def _fill(connection: Connection, _now: object) -> None:
    chat, times = _id(connection, 0xAA), ("last_message_at", "floor_changed_at", "episode_started_at")
    stamps = dict.fromkeys((*times, "created_at", "updated_at"), AT)
    _insert(connection, "kommo_conversations", id=chat, account_id="12345", kommo_chat_id="c", **stamps)
    _insert(
        connection,
        "kommo_messages",
        id=_id(connection, 1),
        account_id="12345",
        conversation_id=chat,
        role="user",
        content="hola",
        created_at=AT,
        ingested_at=AT,
    )
    times = ("due_at", "first_unread_at", "last_unread_at")
    _insert(connection, "turn_work", conversation_id=chat, account_id="12345", **dict.fromkeys(times, AT))
    ids = {"id": _id(connection, 2), "account_id": "12345", "conversation_id": chat, "worker_id": "w"}
    _insert(connection, "turns", **ids, attempt=1, floor_number=1, leased_at=AT)
    for number, (kind, lane) in enumerate(LANES.items(), start=1):
        _delivery(connection, number, kind, lane)
    for lane in sorted(set(LANES.values())):
        _work(connection, lane)
    _insert(connection, "rate_buckets", account_id="12345", tokens=1, refilled_at=AT)


def _rows(connection: Connection, _now: object) -> dict[str, list[dict[str, Any]]]:
    found = {table: connection.execute(text(f"SELECT * FROM {table}")).mappings().all() for table in KEPT}
    return {table: sorted((dict(row) for row in rows), key=str) for table, rows in found.items()}


def _indexes(connection: Connection, _now: object) -> dict[str, str]:
    """Return how the database itself describes the indexes and checks of the table that the migration changes."""
    if connection.dialect.name == "postgresql":
        queries = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'deliveries'",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'deliveries'::regclass",
        )
    else:
        queries = ("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'deliveries' AND type = 'index'",)
    return {str(row[0]): str(row[1]) for query in queries for row in connection.execute(text(query))}


def _columns(row: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in known}


async def _downgrade(store: Store) -> None:
    def down(connection: Connection, _now: object) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, BEFORE)

    await store.write(down)


def _write_new_kinds(connection: Connection, _now: object) -> None:
    for number, lane in enumerate(NEW, start=0x20):
        _delivery(connection, number, lane.partition("_")[0], lane)
        _work(connection, lane)


def _write_as_before(connection: Connection, _now: object) -> None:
    """Write what the release before writes while the new schema is there already: a chat, and a second hand-over."""
    stamps = ("last_message_at", "floor_changed_at", "episode_started_at", "created_at", "updated_at")
    ids = {"id": _id(connection, 0xAB), "account_id": "12345", "kommo_chat_id": "d"}
    _insert(connection, "kommo_conversations", **ids, **dict.fromkeys(stamps, AT))
    _delivery(connection, 0x10, "note", "note", floor_number=2)
    _delivery(connection, 0x11, "reply", "message", floor_number=2)


async def test_given_a_filled_database_when_migrated_up_and_down_then_every_row_and_index_is_as_before(
    filled_url: str,
) -> None:
    async with open_store(filled_url, limit_seconds=30) as store:
        rows, indexes = await store.read(_rows), await store.read(_indexes)
    await migrate(filled_url)
    async with open_store(filled_url, limit_seconds=30) as store:
        assert await store.check()
        after = await store.read(_rows)
        for table, known in rows.items():
            assert [_columns(new, old) for new, old in zip(after[table], known, strict=True)] == known
        await store.write(_write_new_kinds)
        await _downgrade(store)
        assert await store.read(_rows) == rows
        assert await store.read(_indexes) == indexes


async def test_given_the_new_schema_when_the_release_before_still_writes_then_it_is_taken(filled_url: str) -> None:
    await migrate(filled_url)
    async with open_store(filled_url, limit_seconds=30) as store:
        await store.write(_write_as_before)
        after = await store.read(_rows)
    assert (len(after["kommo_conversations"]), len(after["deliveries"])) == (2, len(LANES) + 2)
