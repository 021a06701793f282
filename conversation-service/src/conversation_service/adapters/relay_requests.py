"""Rows of the signed requests of relays: each is taken once, by whichever replica."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, select

from conversation_service.adapters.insertion import insert_missing
from conversation_service.adapters.tables import RELAY_REQUESTS
from conversation_service.domain.channel_message import RelayRequest

R = RELAY_REQUESTS.c
# A signature counts for five minutes before and after its time; an hour leaves room for clocks that differ.
KEPT_FOR = timedelta(hours=1)
FORGOTTEN_AT_ONCE = 100


def replayed(
    connection: Connection, requests: Iterable[tuple[str, RelayRequest]], now: datetime
) -> set[tuple[str, UUID]]:
    """Record requests, and return account and request id of those that arrived before.

    Args:
        connection: the transaction; one that records the same request waits for it to end.
        requests: the requests, with their accounts.
        now: the time of the transaction.
    """
    arrivals = {(account_id, one.request_id): one.arrival_id for account_id, one in requests}
    if not arrivals:
        return set()
    _forget_old(connection, now)
    rows = [
        {"account_id": account_id, "request_id": request_id, "arrival_id": arrivals[account_id, request_id]}
        for account_id, request_id in sorted(arrivals)
    ]
    insert_missing(connection, RELAY_REQUESTS, [row | {"received_at": now} for row in rows])
    return {key for key, arrival_id in arrivals.items() if _arrival(connection, *key) != arrival_id}


def _arrival(connection: Connection, account_id: str, request_id: UUID) -> UUID | None:
    statement = select(R.arrival_id).where(R.account_id == account_id, R.request_id == request_id)
    found: UUID | None = connection.scalar(statement)
    return found


def _forget_old(connection: Connection, now: datetime) -> None:
    old = (
        select(R.account_id, R.request_id)
        .where(R.received_at < now - KEPT_FOR)
        .order_by(R.received_at)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    for row in connection.execute(old).all():
        connection.execute(delete(RELAY_REQUESTS).where(R.account_id == row[0], R.request_id == row[1]))
