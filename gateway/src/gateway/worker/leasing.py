"""The loop that both halves of the worker's work share: lease as much as there is room for, one task each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.worker import metrics
from gateway.worker.backoff import backoff_seconds
from gateway.worker.pace import Pace, unless
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger

MOST_LEASED_AT_ONCE = 64
MOST_EMPTY_PAUSE_SECONDS = 1.0

T = TypeVar("T")

log = get_logger()


class Slots:
    """Counts the places that are free.

    Args:
        limit: how many there are.
    """

    def __init__(self, limit: int) -> None:
        self.free = limit
        self._released = asyncio.Event()

    async def any_free(self) -> None:
        """Wait until a place is free."""
        while not self.free:
            self._released.clear()
            await self._released.wait()

    def take(self) -> None:
        """Take a place."""
        self.free -= 1

    def release(self) -> None:
        """Give a place back."""
        self.free += 1
        self._released.set()


@dataclass(frozen=True, slots=True)
class Leasing(Generic[T]):
    """Leases work for as long as the worker runs and hands each piece to a task of its own.

    Args:
        name: names the loop in logs and metrics.
        lease: leases at most so many pieces; waits for some time when there are none.
        work: does one piece; what it raises is logged and counted.
        limit: how many pieces are held at once.
        early_seconds: an empty answer that comes sooner is followed by a pause, since nobody waited for it.
        pace: when to rest and to stop.
    """

    name: str
    lease: Callable[[int], Awaitable[Sequence[T]]]
    work: Callable[[T], Awaitable[None]]
    limit: int
    early_seconds: float
    pace: Pace

    async def run(self) -> None:
        """Run until the worker is to stop, then wait for what is still held."""
        slots = Slots(self.limit)
        async with asyncio.TaskGroup() as tasks:
            failures = empties = 0
            while not self.pace.stop.is_set():
                await unless(self.pace.stop, slots.any_free())
                leased, seconds = await self._lease(min(slots.free, MOST_LEASED_AT_ONCE))
                failures = failures + 1 if leased is None else 0
                empties = empties + 1 if leased is not None and not leased and seconds < self.early_seconds else 0
                for piece in leased or ():
                    slots.take()
                    tasks.create_task(self._guarded(piece, slots))
                await self._rest(failures, empties)

    async def _lease(self, most: int) -> tuple[Sequence[T] | None, float]:
        """Return what was leased, None after a failure, and how long that took."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        leased: Sequence[T] | None = None
        if most > 0:
            try:
                leased = await unless(self.pace.stop, self._asked(most)) or ()
            except RemoteError as error:
                metrics.ERRORS.labels(self.name).inc()
                log.warning("lease.failed", loop=self.name, code=error.code, reason=error.reason)
            except Exception:
                metrics.ERRORS.labels(self.name).inc()
                log.exception("lease.failed", loop=self.name)
        return leased, loop.time() - asked_at

    async def _asked(self, most: int) -> Sequence[T]:
        return await self.lease(most)

    async def _rest(self, failures: int, empties: int) -> None:
        """Pause after a failure or an answer that came too soon, so that a service that is down sees few calls."""
        pace = self.pace
        if pace.stop.is_set():
            return
        if failures:
            await pace.rest(pace.stop, backoff_seconds(failures, pace.draw()))
        elif empties:
            await pace.rest(pace.stop, backoff_seconds(empties, pace.draw(), most=MOST_EMPTY_PAUSE_SECONDS))

    async def _guarded(self, piece: T, slots: Slots) -> None:
        try:
            await self.work(piece)
        except Exception:
            metrics.ERRORS.labels(self.name).inc()
            log.exception("work.failed", loop=self.name)
        finally:
            slots.release()
