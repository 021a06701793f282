"""uvicorn's HTTP protocol with bounds on what comes before a body, and on how long a request may take to arrive."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. uvicorn alone waits for ever on slow headers, and keeps any number of them.

    Attributes:
        header_limit_bytes: the most that may be received before a request's headers are complete.
        request_seconds: time from the connection, or the first byte of a later request, to its last byte.
    """

    header_limit_bytes = 65_536
    request_seconds = 30.0
    _head_bytes = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the time of the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse a request whose headers do not end."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.header_limit_bytes and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Start the time of a request."""
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        """Note that a body follows."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the time, and count the headers of the next request anew."""
        self._in_head, self._head_bytes = True, 0
        self._stop_timer()
        super().on_message_complete()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(self.request_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_protocol(header_limit_bytes: int, request_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol with these bounds."""
    bounds = {"header_limit_bytes": header_limit_bytes, "request_seconds": request_seconds}
    return type("ConfiguredProtocol", (BoundedProtocol,), bounds)
