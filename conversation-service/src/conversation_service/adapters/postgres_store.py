"""The store on PostgreSQL, which several replicas share."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from conversation_service.adapters.notifications import Notifications
from conversation_service.adapters.postgres_url import PostgresAddress
from conversation_service.adapters.schema import is_schema_new_enough
from conversation_service.adapters.store import Shift, StorageUnavailable, Topic, Work, no_shift
from conversation_service.adapters.waiters import Waiters
from kommomesh_runtime.logs import get_logger

T = TypeVar("T")
SERIALIZATION_FAILURE = "40001"
DEADLOCK = "40P01"
# Connection failures, refused roles, missing databases, resources used up, operator intervention (which stops and
# restarts a server) and system errors; then locks that took too long, ended sessions, read-only servers and tables
# that a migration has yet to make.
STORAGE_CLASSES = ("08", "28", "3D", "53", "57", "58")
STORAGE_STATES = ("55P03", "25P02", "25P03", "25006", "42P01")
MOST_ATTEMPTS = 5
POOLED_SETTINGS = ", set_config('statement_timeout', '5000', true), set_config('timezone', 'UTC', true)"

log = get_logger()


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def is_conflict(error: BaseException) -> bool:
    """Tell whether another transaction was in the way, so that the same work may succeed at once."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK)


def is_stale_connection(error: BaseException) -> bool:
    """Tell whether a connection of the pool had ended, as all have after a restart of the server."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_storage_failure(error: BaseException) -> bool:
    """Tell whether the server or the way to it, not the statement, is what failed."""
    if isinstance(error, (PoolTimeout, OSError, TimeoutError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if state:
        return state[:2] in STORAGE_CLASSES or state in STORAGE_STATES
    if isinstance(error.orig.__cause__ if error.orig else None, ValueError):
        return False  # a value that asyncpg refuses before it is sent
    return error.connection_invalidated or isinstance(error, (InterfaceError, OperationalError))


class PostgresStore:
    """One PostgreSQL database.

    Args:
        address: where it is.
        pool_size: connections at once.
        acquire_seconds: how long to wait for one of them.
        limit_seconds: how long a transaction may take, with the wait for its connection.
        is_pooled: a transaction pooler stands between; wake-ups then come by polling alone.
        shift: what the clock is moved by.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        pool_size: int = 10,
        acquire_seconds: float = 0.6,
        limit_seconds: float = 5.0,
        is_pooled: bool = False,
        shift: Shift = no_shift,
    ) -> None:
        self._shift = shift
        self._limit_seconds = limit_seconds
        self._clock = text(f"SELECT clock_timestamp(){POOLED_SETTINGS if is_pooled else ''}")
        self._waiters = Waiters()
        self._notifications = None if is_pooled else Notifications(address.asyncpg_args(), self._waiters)
        self._transactions: set[asyncio.Task[Any]] = set()
        self._engine = create_async_engine(
            address.url,
            connect_args=address.connect_args,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=acquire_seconds,
            pool_recycle=1800,
            hide_parameters=True,  # what an error says must not quote what a client wrote
        )

    async def __aenter__(self) -> Self:
        """Start to listen for wake-ups."""
        if self._notifications:
            self._notifications.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close; see `aclose`."""
        await self.aclose()

    async def write(self, work: Work[T], *, limit_seconds: float | None = None, is_urgent: bool = False) -> T:
        """Return the result of `work` once it is committed; see `Store`. Nothing is urgent: each has a connection."""
        return await self._within(self._attempt(work), limit_seconds or self._limit_seconds)

    async def read(self, work: Work[T]) -> T:
        """Return the result of `work`; see `Store`."""
        return await self._within(self._attempt(work), self._limit_seconds)

    async def wait_for_work(self, topic: Topic, seconds: float) -> None:
        """Return at a wake-up of any replica or after a poll interval; see `Store`."""
        await self._waiters.wait(topic, seconds)

    def wake(self, topic: Topic) -> None:
        """Wake those who wait for the topic, in all replicas; see `Store`."""
        self._waiters.wake(topic)
        if self._notifications:
            self._notifications.send(topic)

    async def check(self) -> bool:
        """Tell whether the database answers and its schema is new enough; see `Store`."""
        try:
            return await self.read(lambda connection, _now: is_schema_new_enough(connection))
        except (StorageUnavailable, DBAPIError):
            return False

    async def aclose(self) -> None:
        """Close the connections."""
        if self._notifications:
            await self._notifications.aclose()
        if self._transactions:
            await asyncio.wait(self._transactions, timeout=2)
        await self._engine.dispose()

    async def _within(self, transaction: Coroutine[Any, Any, T], seconds: float) -> T:
        # In a task of its own: giving up must not wait for a server that does not even answer the rollback.
        task = asyncio.create_task(transaction)
        self._transactions.add(task)
        task.add_done_callback(self._forget)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            log.warning("transaction.timed_out", seconds=seconds)
            raise StorageUnavailable
        return task.result()

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._transactions.discard(task)
        if not task.cancelled():
            task.exception()

    async def _attempt(self, work: Work[T]) -> T:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                return await self._transact(work)
            except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
                if is_conflict(error) and attempt < MOST_ATTEMPTS:
                    continue
                if is_stale_connection(error) and attempt == 1:
                    continue
                if not (is_conflict(error) or is_storage_failure(error)):
                    raise
                log.warning("transaction.failed", error=type(error).__name__, attempt=attempt)
                raise StorageUnavailable from error
        raise StorageUnavailable

    async def _transact(self, work: Work[T]) -> T:
        async with self._connection() as connection, connection.begin():
            return await connection.run_sync(self._run, work)

    def _connection(self) -> AsyncConnection:
        return self._engine.connect()

    def _run(self, connection: Connection, work: Work[T]) -> T:
        now: datetime = connection.execute(self._clock).scalar_one()
        return work(connection, now + self._shift())
