"""Rows of request ids: each request is carried out once."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from conversation_service.adapters.tables import REQUEST_IDS
from conversation_service.domain.conversation import RequestIdReused

# Nobody repeats a request after days; until then a repeat has to be known.
KEPT_FOR = timedelta(days=7)
FORGOTTEN_AT_ONCE = 100


def claim_request(connection: Connection, request_id: UUID, method: str, conversation_id: UUID, now: datetime) -> bool:
    """Record a request; false when it was carried out before.

    A concurrent transaction with the same id waits here until this one ends.

    Raises:
        RequestIdReused: the id named another method or conversation.
    """
    insert = postgres_insert if connection.dialect.name == "postgresql" else sqlite_insert
    row = insert(REQUEST_IDS).values(id=request_id, method=method, conversation_id=conversation_id, created_at=now)
    claimed = connection.execute(row.on_conflict_do_nothing().returning(REQUEST_IDS.c.id)).scalar()
    if claimed is not None:
        _forget_old(connection, now)
        return True
    known = connection.execute(select(REQUEST_IDS).where(REQUEST_IDS.c.id == request_id)).one()
    if (known.method, known.conversation_id) != (method, conversation_id):
        raise RequestIdReused(request_id=str(request_id))
    return False


def _forget_old(connection: Connection, now: datetime) -> None:
    """Delete some of the requests that nobody repeats any more; each new request takes a few of them along."""
    old = (
        select(REQUEST_IDS.c.id)
        .where(REQUEST_IDS.c.created_at < now - KEPT_FOR)
        .order_by(REQUEST_IDS.c.created_at)
        .limit(FORGOTTEN_AT_ONCE)
        # Another transaction may be at it: it never waits for it.
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(REQUEST_IDS).where(REQUEST_IDS.c.id.in_(old)))
