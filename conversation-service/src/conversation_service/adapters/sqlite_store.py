"""The store on SQLite: one writer thread that commits in groups, and a few readers."""

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from conversation_service.adapters.checkpoints import Checkpoints
from conversation_service.adapters.schema import is_schema_new_enough
from conversation_service.adapters.store import Shift, StorageUnavailable, Topic, Work, no_shift
from conversation_service.adapters.waiters import Waiters
from kommomesh_runtime.logs import get_logger

T = TypeVar("T")
BUSY_SECONDS = 0.7
LOCKED_PAUSE_SECONDS = 0.02
READERS = 4
MOST_JOBS_A_COMMIT = 256
# Nothing is done before the commit: longer groups would keep who came first waiting for who came last.
GROUP_SECONDS = 0.03
URGENT, USUAL, LAST = range(3)
# Busy, locked, out of memory, read-only, I/O error, corrupt, full, cannot open, protocol, not a database.
STORAGE_CODES = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 26})

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    done: "Future[Any]"


class _Jobs:
    """What the writer has to do: the urgent before the rest, and within each in the order of arrival."""

    def __init__(self) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, _Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()

    def put(self, job: _Job, *, is_urgent: bool) -> None:
        """Add a job."""
        self._queue.put((URGENT if is_urgent else USUAL, next(self._numbers), job))

    def end(self) -> None:
        """Say that no job follows those that wait."""
        self._queue.put((LAST, next(self._numbers), None))

    def first(self) -> _Job | None:
        """Return the first job of a commit, waiting for one; None at the end."""
        return self._queue.get()[2]

    def group(self, first: _Job) -> Iterator[_Job]:
        """Give the jobs of one commit: the first, and what waits or comes while they are done."""
        job: _Job | None = first
        ends_at = time.monotonic() + GROUP_SECONDS
        for _ in range(MOST_JOBS_A_COMMIT):
            if job is None:
                self.end()
                return
            # Nobody wants what was cancelled any more.
            if job.done.set_running_or_notify_cancel():
                yield job
            # Only the writer takes jobs out, so that there is one to take when the queue is not empty.
            if time.monotonic() >= ends_at or self._queue.empty():
                return
            job = self._queue.get()[2]


def sqlite_engine(
    path: str,
    *,
    begin: str = "BEGIN IMMEDIATE",
    size: int = 1,
    busy_seconds: float = BUSY_SECONDS,
    has_checkpoints: bool = True,
) -> Engine:
    """Return an engine on a file, set up as every connection to it has to be.

    Args:
        path: the file; it is made when missing, its folder too.
        begin: how transactions begin. A deferred one that reads before it writes would fail under load.
        size: connections at once.
        busy_seconds: how long to wait for another writer.
        has_checkpoints: whether its commits bring the log into the file now and then; false where somebody else does.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # what an error says must not quote what a client wrote
        connect_args={"check_same_thread": False, "timeout": busy_seconds, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        _use_log(connection, busy_seconds)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if not has_checkpoints:
            connection.execute("PRAGMA wal_autocheckpoint=0")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _use_log(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch a file to its write-ahead log; for that SQLite does not wait by itself while another does the same."""
    ends_at = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= ends_at:
                raise
            time.sleep(LOCKED_PAUSE_SECONDS)


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
        self._writer = sqlite_engine(path, has_checkpoints=False)
        self._reader = sqlite_engine(path, begin="BEGIN", size=READERS)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._is_closed = False
        self._jobs = _Jobs()
        self._thread = threading.Thread(target=self._write_jobs, name="sqlite-writer", daemon=True)
        self._thread.start()
        self._checkpoints = Checkpoints(path)

    async def write(self, work: Work[T], *, limit_seconds: float | None = None, is_urgent: bool = False) -> T:
        """Return the result of `work` once the commit that carries it is on disk; see `Store`."""
        if self._is_closed:
            raise StorageUnavailable
        done: Future[T] = Future()
        self._jobs.put(_Job(work, done), is_urgent=is_urgent)
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
        self._jobs.end()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._checkpoints.close)
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
        while (first := self._jobs.first()) is not None:
            self._commit(first)

    def _commit(self, first: _Job) -> None:
        jobs: list[_Job] = []
        results: list[Callable[[], None]] = []
        group = self._jobs.group(first)
        try:
            with self._writer.begin() as connection:
                for job in group:
                    jobs.append(job)
                    results.append(self._run(job, connection))
        except Exception as error:
            # Without the commit nothing is durable: none of them may look done. What else waits would fail in the same
            # way, each job after a wait of its own.
            jobs.extend(group)
            log.warning("transaction.failed", error=type(error.__cause__ or error).__name__, jobs=len(jobs))
            for job in jobs:
                job.done.set_exception(_translated(error))
            return
        for resolve in results:
            resolve()

    def _run(self, job: _Job, connection: Connection) -> Callable[[], None]:
        # By the driver itself: SQLAlchemy's own savepoint costs as much as a statement of the job.
        driver: Any = connection.connection.driver_connection
        driver.execute("SAVEPOINT job")
        try:
            result = job.work(connection, self._now())
        except Exception as error:
            if is_storage_failure(error):
                raise
            driver.execute("ROLLBACK TO job")
            driver.execute("RELEASE job")
            failure = error
            return lambda: job.done.set_exception(failure)
        driver.execute("RELEASE job")
        return lambda: job.done.set_result(result)


def _translated(error: Exception) -> Exception:
    return StorageUnavailable() if is_storage_failure(error) else error
