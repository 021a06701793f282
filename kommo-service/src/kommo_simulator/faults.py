"""Faults on demand: chosen requests fail, hang, break off or take long, a given number of times."""

import asyncio
import re
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DELIVERY_ERROR = "kommo_simulator.delivery_error"
# The text that somebody else writes over the custom fields that the request has just set.
OVERWRITTEN = "kommo_simulator.overwritten"
REQUESTS_KEPT = 50_000

Action = Literal[
    "status",
    "status_after",
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "delay",
    "delivery_error",
    "swallow",
    "overwrite_field",
]
log = structlog.get_logger()


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests a fault is for; what is absent matches everything."""

    method: str | None = None
    path: str | None = None
    operation: str | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from error

    def covers(self, method: str, path: str, operation: str) -> bool:
        """Tell whether a request is meant."""
        return (
            (self.method is None or self.method.upper() == method)
            and (self.path is None or re.search(self.path, path) is not None)
            and (self.operation is None or self.operation == operation)
        )


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault as ordered through the control API."""

    action: Action
    match: Match = msgspec.field(default_factory=Match)
    times: int = 1
    skip: int = 0
    status: int = 500
    body: str = ""
    content_type: str = "text/html"
    headers: Mapping[str, str] = {}
    delay_seconds: float = 0.0


@dataclass(slots=True)
class Fault:
    """An ordered fault, and how often it is still to happen."""

    id: int
    order: FaultOrder
    left: int
    skip: int
    happened: int = 0


class Faults:
    """The faults that are ordered at present."""

    def __init__(self) -> None:
        self._last_id = 0
        self.all: list[Fault] = []

    def add(self, order: FaultOrder) -> Fault:
        """Order a fault."""
        self._last_id += 1
        fault = Fault(self._last_id, order, order.times, order.skip)
        self.all.append(fault)
        return fault

    def clear(self) -> None:
        """Withdraw all faults."""
        self.all.clear()

    def take(self, method: str, path: str, operation: str) -> FaultOrder | None:
        """Return the fault that this request meets, counting it."""
        for fault in self.all:
            if fault.left == 0 or not fault.order.match.covers(method, path, operation):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.left -= 1
            fault.happened += 1
            return fault.order
        return None


@dataclass(slots=True)
class Received:
    """One API request as it was received; `status` None = no answer was given."""

    at: float
    method: str
    path: str
    operation: str
    status: int | None = None
    fault: str | None = None


class FaultyEdge:
    """Logs API requests and plays the faults ordered for them."""

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        received: deque[Received],
        operation_of: Callable[[Scope], str],
        now: Callable[[], float],
    ) -> None:
        self._app = app
        self._faults = faults
        self._received = received
        self._operation_of = operation_of
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or let it fail."""
        if scope["type"] != "http" or not scope["path"].startswith(("/api/", "/v2/", "/media/")):
            await self._app(scope, receive, send)
            return
        entry = Received(self._now(), scope["method"], scope["path"], self._operation_of(scope))
        self._received.append(entry)

        async def send_logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        fault = self._faults.take(entry.method, entry.path, entry.operation)
        if fault is None:
            await self._app(scope, receive, send_logged)
            return
        entry.fault = fault.action
        log.info("fault.played", action=fault.action, operation=entry.operation)
        await self._play(fault, scope, receive, send_logged)

    async def _play(self, fault: FaultOrder, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.action == "delivery_error":
            await self._app({**scope, DELIVERY_ERROR: True}, receive, send)
            return
        if fault.action == "overwrite_field":
            await self._app({**scope, OVERWRITTEN: fault.body}, receive, send)
            return
        if fault.action == "swallow":
            await _pretend(self._operation_of(scope), send)
            return
        if fault.action == "delay":
            body = await _whole_body(receive)
            await asyncio.sleep(fault.delay_seconds)
            # Taken in before the wait: Kommo carries out what it has received even when the caller has left.
            await self._app(scope, _replayed(body, receive), send)
            return
        if fault.action.endswith("_after"):
            await self._app(scope, receive, _swallow)
        if fault.action.startswith("status"):
            await _answer(fault, send)
        elif fault.action.startswith("reset"):
            _abort(receive)
        await _until_disconnected(receive, fault.action)


async def _swallow(message: Message) -> None:
    """Take an answer that never leaves."""


async def _answer(fault: FaultOrder, send: Send) -> None:
    more = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
    await _send_whole(fault.status, fault.content_type, fault.body.encode(), more, send)


async def _pretend(operation: str, send: Send) -> None:
    """Answer as if a message had been taken in, which never appears anywhere."""
    if operation == "send_message":
        await _send_whole(202, "application/json", f'{{"id":"{uuid.uuid4()}"}}'.encode(), [], send)
    else:
        await _send_whole(202, "text/plain", b"Accepted", [], send)


async def _send_whole(status: int, content_type: str, body: bytes, more: list[tuple[bytes, bytes]], send: Send) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _whole_body(receive: Receive) -> bytes:
    """Return a request's body; what came of it when the caller left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read before, and then what comes after it."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _abort(receive: Receive) -> None:
    # ASGI has no message for a reset, so the connection behind uvicorn's own `receive` is broken off.
    cycle: Any = getattr(receive, "__self__", None)
    cycle.transport.abort()


async def _until_disconnected(receive: Receive, action: str) -> None:
    while not action.startswith("status"):
        if (await receive())["type"] == "http.disconnect":
            return
