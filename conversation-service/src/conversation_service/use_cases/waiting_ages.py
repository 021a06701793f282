"""How long due work has waited: told as metrics, so that an operator sees a jam before clients do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, turn_rows
from conversation_service.adapters.store import StorageUnavailable, Store
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import gauge

SECONDS_BETWEEN = 10.0

TURN_AGE = gauge("turn_oldest_due_age_seconds", "How long the turn that waits longest has been due.")
DELIVERY_AGE = gauge(
    "delivery_oldest_due_age_seconds", "How long the delivery that waits longest has been due, by lane.", ("lane",)
)


log = get_logger()


def waiting_ages(connection: Connection, now: datetime) -> tuple[float, dict[str, float]]:
    """Return since how many seconds the oldest turn is due, 0 when none is, and the oldest delivery of each lane."""
    turn_due_at = turn_rows.next_due(connection)
    lanes = outbox_rows.oldest_due(connection, now)
    return _age(turn_due_at, now), {lane: _age(due_at, now) for lane, due_at in lanes.items()}


async def note_ages(store: Store, lanes: set[str]) -> None:
    """Set the metrics to what is due now.

    Args:
        store: the database.
        lanes: those that were told of before, which are told of again when nothing waits there any more.
    """
    turn, deliveries = await store.read(waiting_ages)
    lanes |= deliveries.keys()
    TURN_AGE.set(turn)
    for lane in lanes:
        DELIVERY_AGE.labels(lane).set(deliveries.get(lane, 0.0))


@asynccontextmanager
async def ages_watched(store: Store) -> AsyncIterator[None]:
    """Keep the metrics true while inside; a database that does not answer leaves them as they were."""
    watching = asyncio.create_task(_watch(store), name="waiting-ages")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(store: Store) -> None:
    lanes: set[str] = set()
    while True:
        try:
            await note_ages(store, lanes)
        except StorageUnavailable:
            # The store has told of it; the ages stay as they were until it answers.
            pass
        except Exception:
            log.exception("waiting_ages.failed")
        await asyncio.sleep(SECONDS_BETWEEN)


def _age(due_at: datetime | None, now: datetime) -> float:
    return 0.0 if due_at is None else max(0.0, (now - due_at).total_seconds())
