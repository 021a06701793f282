"""Stores what webhooks bring, coalesced: each call carries what arrived while the last ones were in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from gateway.metrics import INGEST_CALL_ITEMS, INGEST_FAILURES
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger

FIRST_BACKOFF_SECONDS = 0.05
LAST_BACKOFF_SECONDS = 0.4
LEAST_CALL_SECONDS = 0.02

log = get_logger()


class NotStored(Exception):
    """The items could not be stored in time; the same webhook may succeed later.

    Args:
        code: why: `storage_busy`, `storage_slow` or `storage_unavailable`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Ingest(Protocol):
    """Calls IngestMessages; failures come as RemoteError."""

    def __call__(
        self, request: service_pb.IngestMessagesRequest, *, timeout: float
    ) -> Awaitable[service_pb.IngestMessagesResponse]:
        """Return the results, one for each item in their order."""
        ...


@dataclass(frozen=True, slots=True)
class CoalescerLimits:
    """Bounds of one call (items, bytes, seconds), of the calls in flight, and of the webhooks that may wait."""

    items: int = 1_000
    bytes: int = 1_000_000
    call_seconds: float = 0.85
    calls: int = 1
    waiting: int = 2_000


@dataclass(slots=True, eq=False)
class _Waiter:
    items: Sequence[service_pb.IngestItem]
    size: int
    ends_at: float
    done: asyncio.Future[list[service_pb.IngestResult]]
    most_together: int


class IngestCoalescer:
    """Collects the items of many webhooks into few calls, of which few are in flight.

    A call that fails for a passing reason is repeated while its webhooks have time; one that fails for good is cut in
    halves, so that one item cannot fail the webhooks that happened to travel with it.

    Args:
        ingest: calls the service.
        limits: bounds.
    """

    def __init__(self, ingest: Ingest, limits: CoalescerLimits) -> None:
        self._ingest = ingest
        self._limits = limits
        self._waiting: deque[_Waiter] = deque()
        self._arrived = asyncio.Event()
        self._backoff = 0.0

    async def store(
        self, items: Sequence[service_pb.IngestItem], within_seconds: float
    ) -> list[service_pb.IngestResult]:
        """Return the results of the items once they are durable.

        Args:
            items: at most as many as one call may hold.
            within_seconds: the most to wait.

        Raises:
            NotStored: too many wait already, or the time ended first.
        """
        if not items:
            return []
        if len(self._waiting) >= self._limits.waiting:
            raise NotStored("storage_busy")
        loop = asyncio.get_running_loop()
        size = sum(item.ByteSize() for item in items)
        waiter = _Waiter(items, size, loop.time() + within_seconds, loop.create_future(), self._limits.items)
        self._waiting.append(waiter)
        self._arrived.set()
        try:
            async with asyncio.timeout(within_seconds):
                return await waiter.done
        except TimeoutError:
            raise NotStored("storage_slow") from None

    async def run(self) -> None:
        """Send calls, one after the other, for as long as the process lives; as many of these run as calls may fly."""
        while True:
            await self._arrived.wait()
            batch = self._take()
            if not batch:
                self._arrived.clear()
                continue
            await self._send(batch)
            if self._backoff:
                await asyncio.sleep(self._backoff)

    def _take(self) -> list[_Waiter]:
        batch: list[_Waiter] = []
        items = size = 0
        most_together = self._limits.items
        while self._waiting:
            first = self._waiting[0]
            if first.done.done():
                self._waiting.popleft()
                continue
            most_together = min(most_together, first.most_together)
            items, size = items + len(first.items), size + first.size
            if batch and (items > self._limits.items or size > self._limits.bytes or len(batch) >= most_together):
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: list[_Waiter]) -> None:
        request = service_pb.IngestMessagesRequest(items=[item for waiter in batch for item in waiter.items])
        left = max(waiter.ends_at for waiter in batch) - asyncio.get_running_loop().time()
        timeout = max(LEAST_CALL_SECONDS, min(self._limits.call_seconds, left))
        INGEST_CALL_ITEMS.observe(len(request.items))
        try:
            response = await self._ingest(request, timeout=timeout)
            if len(response.results) != len(request.items):
                raise RemoteError("INTERNAL", message="another number of results than of items")
        except RemoteError as error:
            self._failed(batch, error.code, is_transient=error.is_transient)
        except Exception:
            log.exception("ingest.failed", items=len(request.items))
            self._failed(batch, "UNKNOWN", is_transient=False)
        else:
            self._backoff = 0.0
            _hand_out(batch, list(response.results))

    def _failed(self, batch: list[_Waiter], code: str, *, is_transient: bool) -> None:
        INGEST_FAILURES.labels(code).inc()
        if not is_transient and len(batch) == 1:
            self._backoff = 0.0
            _fail(batch[0])
            return
        if is_transient:
            self._backoff = min(LAST_BACKOFF_SECONDS, max(FIRST_BACKOFF_SECONDS, self._backoff * 2))
        soonest = asyncio.get_running_loop().time() + self._backoff + LEAST_CALL_SECONDS
        for waiter in reversed(batch):
            if waiter.ends_at <= soonest:
                _fail(waiter)
                continue
            if not is_transient:
                waiter.most_together = max(1, len(batch) // 2)
            self._waiting.appendleft(waiter)
        # Another sender may have found the queue empty meanwhile and gone to wait.
        self._arrived.set()


def _fail(waiter: _Waiter) -> None:
    if not waiter.done.done():
        waiter.done.set_exception(NotStored("storage_unavailable"))


def _hand_out(batch: list[_Waiter], results: list[service_pb.IngestResult]) -> None:
    begin = 0
    for waiter in batch:
        end = begin + len(waiter.items)
        if not waiter.done.done():
            waiter.done.set_result(results[begin:end])
        begin = end


@asynccontextmanager
async def running_coalescer(ingest: Ingest, limits: CoalescerLimits) -> AsyncIterator[IngestCoalescer]:
    """Run a coalescer while inside."""
    coalescer = IngestCoalescer(ingest, limits)
    tasks = [asyncio.create_task(coalescer.run(), name=f"ingest-{number}") for number in range(limits.calls)]
    try:
        yield coalescer
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
