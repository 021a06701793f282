"""When the worker rests, when it stops, and when it must let go of what it still holds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.worker.backoff import backoff_seconds
from gateway.worker.failures import Kind, kind_of
from kommomesh_runtime.errors import RemoteError

T = TypeVar("T")


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for `seconds`, or until the event."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@dataclass(frozen=True, slots=True)
class Pace:
    """What the loops of a worker share to rest and to stop.

    Args:
        stop: set when no more work is to be begun.
        hurry: set when what is still held has to be given back.
        draw: returns a random number, 0 to 1.
        rest: waits for so many seconds or until the event.
    """

    stop: asyncio.Event
    hurry: asyncio.Event
    draw: Callable[[], float]
    rest: Callable[[asyncio.Event, float], Awaitable[None]] = pause


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of `work`; None when the event came first, and the work was ended."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        waiter.cancel()
        await asyncio.gather(task, waiter, return_exceptions=True)


async def keep_trying(call: Callable[[], Awaitable[T]], *, seconds: float, pace: Pace) -> T:
    """Return what a call that is harmless twice answers, trying again while that may help.

    Args:
        call: makes the call.
        seconds: no attempt begins later than that.
        pace: how to rest; when the worker has to let go, the last attempt was the last.

    Raises:
        RemoteError: what the last attempt answered.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    failures = 0
    while True:
        try:
            return await call()
        except RemoteError as error:
            if kind_of(error) is Kind.NEVER or pace.hurry.is_set() or loop.time() >= ends_at:
                raise
        failures += 1
        await pace.rest(pace.hurry, backoff_seconds(failures, pace.draw()))
