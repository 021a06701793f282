"""The other end of a send: answers `send_message` of Kommo's talks API at once and says which talk was answered."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import cast

TALK = re.compile(rb"POST /api/v4/talks/(\d+)/send_message ")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ANSWER = "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"


class KommoPeer:
    """Knows which talks were answered."""

    def __init__(self) -> None:
        self.port = 0
        self.unexpected = 0
        self._awaited: dict[str, asyncio.Future[bool]] = {}
        self._ids = count(1)

    @contextmanager
    def awaiting(self, talk: str) -> Iterator["asyncio.Future[bool]"]:
        """Give what becomes true when the first reply reaches a talk."""
        self._awaited[talk] = asyncio.get_running_loop().create_future()
        try:
            yield self._awaited[talk]
        finally:
            del self._awaited[talk]

    def answer(self, head: bytes) -> bytes:
        """Take a request by its head and return the answer to it."""
        found = TALK.match(head)
        if found is None:
            self.unexpected += 1
            return _answer("404 Not Found", "{}")
        waiting = self._awaited.get(found[1].decode())
        if waiting is not None and not waiting.done():
            waiting.set_result(True)
        return _answer("202 Accepted", f'{{"id":"00000000-0000-4000-8000-{next(self._ids):012d}"}}')


def _answer(status: str, body: str) -> bytes:
    return ANSWER.format(status=status, length=len(body), body=body).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, peer: KommoPeer) -> None:
        self._peer = peer
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: the transports of uvloop are no subclasses of it.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._received, 0, head_end)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            head, self._received = self._received[:head_end], self._received[end:]
            assert self._transport is not None
            self._transport.write(self._peer.answer(head))


@asynccontextmanager
async def running_peer() -> AsyncIterator[KommoPeer]:
    """Serve on a free port while inside."""
    peer = KommoPeer()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(peer), "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
