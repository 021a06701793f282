"""Waiting for work without holding a transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from conversation_service.adapters.store import POLL_SECONDS, Store, Topic

T = TypeVar("T")
# What is due but held by another transaction is free again within milliseconds.
SHORTEST_WAIT_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What one look at due work gave, and in how many seconds the next look is worth it (None: not known)."""

    found: tuple[T, ...]
    next_seconds: float | None = None


async def long_poll(
    store: Store, topic: Topic, look: Callable[[], Awaitable[Look[T]]], seconds: float, drain: asyncio.Event
) -> tuple[T, ...]:
    """Return what a look found, at the latest after `seconds`; nothing at once when the server drains."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not drain.is_set():
        seen = await look()
        left = end - loop.time()
        if seen.found or left <= 0:
            return seen.found
        wait = POLL_SECONDS if seen.next_seconds is None else max(seen.next_seconds, SHORTEST_WAIT_SECONDS)
        await store.wait_for_work(topic, min(left, wait))
    return ()
