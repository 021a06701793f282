"""A cheap HTTP client for load: kept connections on bare protocols, a closed loop and a paced one."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ANSWER_SECONDS = 20.0

Exchange = Callable[["Connection"], Awaitable[bool]]


@dataclass(slots=True)
class Load:
    """What one round of load measured; latencies in seconds."""

    seconds: float = 0.0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Exchanges that succeeded a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class Connection(asyncio.Protocol):
    """One kept connection, with at most one request on its way."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: the transports of uvloop are no subclasses of it.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = LENGTH.search(self._received, 0, head_end)
        if len(self._received) < head_end + 4 + (int(length[1]) if length else 0):
            return
        status = int(self._received[9:12])
        self._received = b""
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError())

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        """Send a request and return what becomes its status."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """Give so many open connections to a port of this machine."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def _timed(exchange: Exchange, connection: Connection, since: float, load: Load) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            is_good = await exchange(connection)
    except (TimeoutError, OSError):
        is_good = False
    if is_good:
        load.latencies.append(loop.time() - since)
    else:
        load.failed += 1


async def closed_loop(port: int, exchange: Exchange, *, together: int, seconds: float) -> Load:
    """Return what `together` clients measured, each of which begins anew when its last exchange has ended.

    Args:
        port: where the server listens.
        exchange: one request to its end; false when it failed.
        together: clients, each with its connection.
        seconds: how long new exchanges begin.
    """
    loop = asyncio.get_running_loop()
    load = Load()

    async def client(connection: Connection, until: float) -> None:
        while (now := loop.time()) < until:
            await _timed(exchange, connection, now, load)

    async with connections(port, together) as opened:
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(client(connection, begin + seconds))
        load.seconds = loop.time() - begin
    return load


async def paced(port: int, exchange: Exchange, *, together: int, seconds: float, per_second: float) -> Load:
    """Return what a steady rate measured; latencies count from when an exchange was due, so that a queue shows.

    Args:
        port: where the server listens.
        exchange: one request to its end; false when it failed.
        together: the most exchanges at once.
        seconds: how long.
        per_second: exchanges that begin a second.
    """
    loop = asyncio.get_running_loop()
    load = Load()
    due = iter(range(max(1, int(per_second * seconds))))

    async def client(connection: Connection, begin: float) -> None:
        for number in due:
            at = begin + number / per_second
            if (early := at - loop.time()) > 0:
                await asyncio.sleep(early)
            await _timed(exchange, connection, at, load)

    async with connections(port, together) as opened:
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(client(connection, begin))
        load.seconds = loop.time() - begin
    return load
