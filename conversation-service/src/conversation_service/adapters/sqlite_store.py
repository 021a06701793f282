"""The store on SQLite: one writer thread that commits in groups, and a few readers."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from conversation_service.adapters.schema import is_schema_new_enough
from conversation_service.adapters.store import Shift, StorageUnavailable, Topic, Work, no_shift
from conversation_service.adapters.waiters import Waiters
from kommomesh_runtime.logs import get_logger

T = TypeVar("T")
BUSY_SECONDS = 0.7
READERS = 4
MOST_JOBS_A_COMMIT = 256
# Busy, locked, out of memory, read-only, I/O error, corrupt, full, cannot open, protocol, not a database.
STORAGE_CODES = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 26})

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    done: "Future[Any]"


def sqlite_engine(path: str, *, begin: str = "BEGIN IMMEDIATE", size: int = 1) -> Engine:
    """Return an engine on a file, set up as every connection to it has to be.

    Args:
        path: the file; it is made when missing, its folder too.
        begin: how transactions begin. A deferred one that reads before it writes would fail under load.
        size: connections at once.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def is_storage_failure(error: BaseException) -> bool:
    """Tell whether the file, not the statement, is what failed; a migration may have yet to make its tables."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if not isinstance(cause, sqlite3.Error):
        return False
    is_unmigrated = str(cause).startswith("no such table")
    return is_unmigrated or (code is not None and code & 0xFF in STORAGE_CODES)


class SqliteStore:
    """One SQLite file, written by this process alone.

    Args:
        path: the file.
        shift: what the clock is moved by.
    """

    def __init__(self, path: str, *, shift: Shift = no_shift) -> None:
        self._shift = shift
        self._waiters = Waiters()
        self._writer = sqlite_engine(path)
        self._reader = sqlite_engine(path, begin="BEGIN", size=READERS)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._is_closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_jobs, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T], *, limit_seconds: float | None = None) -> T:
        """Return the result of `work` once the commit that carries it is on disk; see `Store`."""
        if self._is_closed:
            raise StorageUnavailable
        done: Future[T] = Future()
        self._jobs.put(_Job(work, done))
        if limit_seconds is None:
            return await asyncio.wrap_future(done)
        try:
            async with asyncio.timeout(limit_seconds):
                return await asyncio.wrap_future(done)
        except TimeoutError:
            raise StorageUnavailable from None

    async def read(self, work: Work[T]) -> T:
        """Return the result of `work` on a reader's connection; see `Store`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def wait_for_work(self, topic: Topic, seconds: float) -> None:
        """Return at a wake-up or after a poll interval; see `Store`."""
        await self._waiters.wait(topic, seconds)

    def wake(self, topic: Topic) -> None:
        """Wake those who wait for the topic; see `Store`."""
        self._waiters.wake(topic)

    async def check(self) -> bool:
        """Tell whether the file can be read and its schema is new enough; see `Store`."""
        try:
            return await self.read(lambda connection, _now: is_schema_new_enough(connection))
        except (StorageUnavailable, DBAPIError):
            return False

    async def aclose(self) -> None:
        """Finish what was queued and close the file."""
        self._is_closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._threads.shutdown()
        self._writer.dispose()
        self._reader.dispose()

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._shift()

    def _read(self, work: Work[T]) -> T:
        try:
            with self._reader.connect() as connection:
                return work(connection, self._now())
        except DBAPIError as error:
            raise _translated(error) from error

    def _write_jobs(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, is_last = self._collect(first)
            self._commit([job for job in jobs if job.done.set_running_or_notify_cancel()])
            if is_last:
                return

    def _collect(self, first: _Job) -> tuple[list[_Job], bool]:
        jobs = [first]
        while len(jobs) < MOST_JOBS_A_COMMIT:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        results: list[Callable[[], None]] = []
        try:
            with self._writer.begin() as connection:
                results = [self._run(job, connection) for job in jobs]
        except Exception as error:
            # Without the commit nothing is durable: none of them may look done.
            log.warning("transaction.failed", error=type(error.__cause__ or error).__name__, jobs=len(jobs))
            for job in jobs:
                job.done.set_exception(_translated(error))
            return
        for resolve in results:
            resolve()

    def _run(self, job: _Job, connection: Connection) -> Callable[[], None]:
        try:
            with connection.begin_nested():
                result = job.work(connection, self._now())
        except Exception as error:
            if is_storage_failure(error):
                raise
            failure = error
            return lambda: job.done.set_exception(failure)
        return lambda: job.done.set_result(result)


def _translated(error: Exception) -> Exception:
    return StorageUnavailable() if is_storage_failure(error) else error
