"""Wake-ups between replicas over PostgreSQL's LISTEN and NOTIFY; a hint, behind which everybody polls."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg

from conversation_service.adapters.store import TOPICS, Topic
from conversation_service.adapters.waiters import Waiters
from kommomesh_runtime.logs import get_logger

CHANNEL = "kommomesh_work"
RECONNECT_SECONDS = 2.0

log = get_logger()


class Notifications:
    """One connection beside the pool that tells and hears of work.

    Args:
        connect_args: keyword arguments of `asyncpg.connect`.
        waiters: whom to wake when another replica tells.
    """

    def __init__(self, connect_args: dict[str, Any], waiters: Waiters) -> None:
        self._connect_args = connect_args
        self._waiters = waiters
        self._topics: set[Topic] = set()
        self._is_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen; a connection that fails is made again."""
        self._task = asyncio.create_task(self._keep_listening())

    def send(self, topic: Topic) -> None:
        """Tell the other replicas; what is asked for while a message is under way goes in the next one."""
        self._topics.add(topic)
        self._is_asked.set()

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("listener.failed", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(**self._connect_args)
        try:
            # A hint that a crash may take along: it need not wait for the disk.
            await connection.execute("SET synchronous_commit = off")
            await connection.add_listener(CHANNEL, partial(self._hear, connection.get_server_pid()))
            connection.add_termination_listener(lambda _connection: self._is_asked.set())
            while not connection.is_closed():
                await self._is_asked.wait()
                self._is_asked.clear()
                topics, self._topics = sorted(self._topics), set()
                for topic in topics:
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, topic)
        finally:
            connection.terminate()

    def _hear(self, own: int, _connection: Any, sender: int, _channel: str, topic: object) -> None:
        # What this process said itself, it has already acted on.
        if topic in TOPICS and sender != own:
            self._waiters.wake(topic)
