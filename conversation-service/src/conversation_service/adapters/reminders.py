"""When it counts that nobody has come, for those who look at conversations."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from conversation_service.adapters.tables import DELIVERIES
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import NOBODY_CAME_LANES
from conversation_service.domain.floor import Holder


def reminder_times(connection: Connection, conversations: Iterable[Conversation]) -> dict[UUID, datetime]:
    """Return by conversation when it counts that nobody has come; those that wait for no person are left out."""
    numbers = {one.id: one.floor.number for one in conversations if one.floor.holder is Holder.PERSON_WAITING}
    if not numbers:
        return {}
    columns = DELIVERIES.c.conversation_id, DELIVERIES.c.floor_number, DELIVERIES.c.not_before_at
    statement = select(*columns).where(
        DELIVERIES.c.conversation_id.in_(numbers), DELIVERIES.c.lane.in_(NOBODY_CAME_LANES)
    )
    return {
        row.conversation_id: row.not_before_at
        for row in connection.execute(statement)
        if row.floor_number == numbers[row.conversation_id] and row.not_before_at is not None
    }
