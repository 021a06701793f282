"""What the use cases need of a database: transactions, a clock and wake-ups."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection

from kommomesh_runtime.errors import Unavailable

T = TypeVar("T")
Work = Callable[[Connection, datetime], T]
Topic = Literal["turns", "deliveries"]
Shift = Callable[[], timedelta]

TOPICS: tuple[Topic, ...] = ("turns", "deliveries")
POLL_SECONDS = 0.25


class StorageUnavailable(Unavailable):
    """The database cannot be reached, cannot be written or is too slow."""

    reason = "STORAGE_UNAVAILABLE"
    text = "the database is not available"


class Store(Protocol):
    """One database. Every `work` runs in one transaction and may run again if that failed."""

    async def write(self, work: Work[T], *, limit_seconds: float | None = None, is_urgent: bool = False) -> T:
        """Return what `work(connection, now)` returned, once its transaction is durable.

        Args:
            work: what to do; `now` is the aware UTC time of the clock that all replicas share.
            limit_seconds: fail after so long; None means the store's own limit.
            is_urgent: where writes wait for each other, this one goes before all that are not urgent. For what somebody
                outside of the mesh waits for; a caller with such writes without a pause would keep the others out.

        Raises:
            StorageUnavailable: nothing is known to be stored.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Return what `work(connection, now)` returned; it may not write.

        Raises:
            StorageUnavailable: the database did not answer.
        """
        ...

    async def wait_for_work(self, topic: Topic, seconds: float) -> None:
        """Return when somebody woke the topic, at the latest after `seconds` or a poll interval."""
        ...

    def wake(self, topic: Topic) -> None:
        """Wake those who wait for the topic, here and in the other replicas."""
        ...

    async def check(self) -> bool:
        """Tell whether the database answers and its schema is new enough for this code."""
        ...

    async def aclose(self) -> None:
        """Let go of the database; the store cannot be used any more."""
        ...


def no_shift() -> timedelta:
    """Return the shift of a clock that is left alone."""
    return timedelta(0)
