"""Waiting for work without holding a transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from conversation_service.adapters.store import POLL_SECONDS, StorageUnavailable, Store, Topic

T = TypeVar("T")
# What is due but held by another transaction is free again within milliseconds.
SHORTEST_WAIT_SECONDS = 0.02
CALLER_GONE = "caller_gone"


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What one look at due work gave, and in how many seconds the next look is worth it (None: not known)."""

    found: tuple[T, ...]
    next_seconds: float | None = None


async def long_poll(
    store: Store,
    topic: Topic,
    look: Callable[[], Awaitable[Look[T]]],
    give_back: Callable[[T], Awaitable[object]],
    seconds: float,
    drain: asyncio.Event,
) -> tuple[T, ...]:
    """Return what a look found, at the latest after `seconds`; nothing at once when the server drains.

    What is found when the caller has just gone is given back, because nobody would do it before its lease ends.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not drain.is_set():
        seen = await _seen(look, give_back)
        left = end - loop.time()
        if seen.found or left <= 0:
            return seen.found
        wait = POLL_SECONDS if seen.next_seconds is None else max(seen.next_seconds, SHORTEST_WAIT_SECONDS)
        await store.wait_for_work(topic, min(left, wait))
    return ()


async def _seen(look: Callable[[], Awaitable[Look[T]]], give_back: Callable[[T], Awaitable[object]]) -> Look[T]:
    looking = asyncio.ensure_future(look())
    try:
        return await asyncio.shield(looking)
    except asyncio.CancelledError:
        with suppress(StorageUnavailable):
            for one in (await looking).found:
                await give_back(one)
        raise
