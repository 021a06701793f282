"""Brings a database to the schema of this release: `python -m conversation_service.migrate`."""

import asyncio
import sys
import time

from alembic import command
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from conversation_service.adapters.open_store import sqlite_path
from conversation_service.adapters.postgres_url import is_postgres, parse_postgres_url
from conversation_service.adapters.schema import alembic_config, known_revisions
from conversation_service.adapters.sqlite_store import sqlite_engine
from conversation_service.settings import ConversationSettings

PUBLIC_TABLES = ("kommo_conversations", "kommo_messages")
ADVISORY_LOCK = 0x6B6F6D6D6F
LOCK_NOT_AVAILABLE = "55P03"
LOCK_TRIES = 15
POLL_SECONDS = 0.2
MIGRATION_STATEMENT_SECONDS = 600.0
# Another migration of the same file may be at work.
SQLITE_BUSY_SECONDS = 60.0


class ForeignTables(Exception):
    """The database has tables of the mesh's names that the mesh did not make."""


class MigrationBusy(Exception):
    """Another migration runs, or a lock was not to be had."""


def refuse_foreign_tables(connection: Connection) -> None:
    """Return when the database is empty or was made by these migrations.

    Raises:
        ForeignTables: it has one of the public tables but not our record of revisions.
    """
    tables = set(inspect(connection).get_table_names())
    found = sorted(tables.intersection(PUBLIC_TABLES))
    if found and "alembic_version" not in tables:
        raise ForeignTables(
            f"the database already has {' and '.join(found)}, which this program did not create. Nothing was changed. "
            "Use an empty database or schema, or rename those tables first."
        )


def _upgrade(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrate_sqlite(path: str, revision: str = "head") -> None:
    """Migrate a SQLite file in one transaction; a second process waits for the first.

    Raises:
        ForeignTables: the file holds tables of the same names that are not ours.
    """
    engine = sqlite_engine(path, busy_seconds=SQLITE_BUSY_SECONDS)
    try:
        with engine.begin() as connection:
            refuse_foreign_tables(connection)
            _upgrade(connection, revision)
    finally:
        engine.dispose()


async def _take_advisory_lock(connection: AsyncConnection, seconds: float) -> None:
    # Polled: a session that waits for the lock is an open transaction, on which CREATE INDEX CONCURRENTLY waits.
    ends = time.monotonic() + seconds
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
        await connection.commit()
        if time.monotonic() > ends:
            raise MigrationBusy("another migration holds the lock")
        await asyncio.sleep(POLL_SECONDS)
    await connection.commit()


async def _upgrade_with_retries(connection: AsyncConnection, revision: str) -> None:
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            await connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            await connection.run_sync(refuse_foreign_tables)
            await connection.run_sync(_upgrade, revision)
            await connection.commit()
            return
        except DBAPIError as error:
            await connection.rollback()
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if attempt == LOCK_TRIES:
                raise MigrationBusy("a table stayed locked by others") from error


async def migrate_postgres(database_url: str, revision: str = "head", *, wait_seconds: float = 300.0) -> None:
    """Migrate a PostgreSQL database in one transaction, one process at a time.

    Args:
        database_url: where it is; the role becomes the tables' owner, whom row level security does not bind.
        revision: what to migrate to.
        wait_seconds: how long to wait for another migration.

    Raises:
        ForeignTables: the database holds tables of the same names that are not ours.
        MigrationBusy: the locks were not to be had in time.
    """
    address = parse_postgres_url(database_url, connect_seconds=10.0, statement_seconds=MIGRATION_STATEMENT_SECONDS)
    engine = create_async_engine(address.url, connect_args=address.connect_args, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _take_advisory_lock(connection, wait_seconds)
            await _upgrade_with_retries(connection, revision)
    finally:
        await engine.dispose()


async def migrate(database_url: str) -> None:
    """Bring the database of the address to the newest schema.

    Raises:
        ForeignTables: the database holds tables of the same names that are not ours.
        MigrationBusy: the locks were not to be had in time.
        UnknownDatabase: the address names neither SQLite nor PostgreSQL.
    """
    if is_postgres(database_url):
        await migrate_postgres(database_url)
    else:
        await asyncio.to_thread(migrate_sqlite, sqlite_path(database_url))


def main() -> None:
    """Migrate the database that the settings name; exits with 1 and one line when that cannot be."""
    settings = ConversationSettings()
    try:
        asyncio.run(migrate(settings.database_url.get_secret_value()))
    except (ForeignTables, MigrationBusy, ValueError, OSError, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        sys.exit(f"migration failed: {reason}")
    sys.stdout.write(f"the database is at revision {known_revisions()[0]}\n")


if __name__ == "__main__":
    main()
