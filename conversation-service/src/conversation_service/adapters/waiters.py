"""Those of this process who wait for work."""

import asyncio

from conversation_service.adapters.store import POLL_SECONDS, TOPICS, Topic


class Waiters:
    """Wakes whoever waits for a topic; a wake-up without a waiter is forgotten."""

    def __init__(self) -> None:
        self._events: dict[Topic, asyncio.Event] = {topic: asyncio.Event() for topic in TOPICS}

    def wake(self, topic: Topic) -> None:
        """Wake all who wait now."""
        self._events[topic].set()
        self._events[topic] = asyncio.Event()

    async def wait(self, topic: Topic, seconds: float) -> None:
        """Return at the next wake-up, at the latest after `seconds` or a poll interval."""
        try:
            async with asyncio.timeout(min(max(seconds, 0.0), POLL_SECONDS)):
                await self._events[topic].wait()
        except TimeoutError:
            return
