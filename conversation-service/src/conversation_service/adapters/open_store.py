"""Opening the store that a database address names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

from conversation_service.adapters.postgres_store import PostgresStore
from conversation_service.adapters.postgres_url import is_postgres, parse_postgres_url
from conversation_service.adapters.sqlite_store import SqliteStore
from conversation_service.adapters.store import Shift, Store, no_shift


class UnknownDatabase(ValueError):
    """The address names neither SQLite nor PostgreSQL."""


def sqlite_path(database_url: str) -> str:
    """Return the file of a `sqlite:///` address.

    Raises:
        UnknownDatabase: it is none, or names no file.
    """
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise UnknownDatabase("the database address must begin with sqlite:/// and a file, or with postgresql://")
    return url.database


@asynccontextmanager
async def open_store(
    database_url: str,
    *,
    pool_size: int = 10,
    acquire_seconds: float = 0.6,
    limit_seconds: float = 5.0,
    is_pooled: bool = False,
    shift: Shift = no_shift,
) -> AsyncIterator[Store]:
    """Give the store of an address while inside; arguments as `PostgresStore`.

    Raises:
        UnknownDatabase: the address names neither SQLite nor PostgreSQL.
    """
    if not is_postgres(database_url):
        store = SqliteStore(sqlite_path(database_url), shift=shift)
        try:
            yield store
        finally:
            await store.aclose()
        return
    address = parse_postgres_url(database_url, is_pooled=is_pooled, connect_seconds=acquire_seconds)
    async with PostgresStore(
        address,
        pool_size=pool_size,
        acquire_seconds=acquire_seconds,
        limit_seconds=limit_seconds,
        is_pooled=is_pooled,
        shift=shift,
    ) as opened:
        yield opened
