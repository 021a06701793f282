"""Rows of request ids: each request is carried out once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from conversation_service.adapters.tables import REQUEST_IDS
from conversation_service.domain.conversation import RequestIdReused


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
        return True
    known = connection.execute(select(REQUEST_IDS).where(REQUEST_IDS.c.id == request_id)).one()
    if (known.method, known.conversation_id) != (method, conversation_id):
        raise RequestIdReused(request_id=str(request_id))
    return False
