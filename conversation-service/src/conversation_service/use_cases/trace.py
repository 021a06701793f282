"""The use case of traces: why the bot said what it said."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, turn_messages, turn_rows
from conversation_service.adapters.store import Store
from conversation_service.adapters.turn_rows import TurnRecord
from conversation_service.domain.conversation import Message
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.turns import Turn
from kommomesh_runtime.errors import NotFound


class TraceNotFound(NotFound):
    """No turn has the id, or none read or wrote what has it."""

    reason = "TRACE_NOT_FOUND"
    text = "no trace is known for {turn_id}"


@dataclass(frozen=True, slots=True)
class Trace:
    """A turn with what it read, what it left, and what it sent."""

    turn: Turn
    messages: tuple[Message, ...]
    record: TurnRecord
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True)
class TraceUseCases:
    """The use case of traces, bound to one store."""

    store: Store

    async def get_trace(
        self, *, turn_id: UUID | None = None, message_id: UUID | None = None, delivery_id: UUID | None = None
    ) -> Trace:
        """Return the trace of a turn, of the newest turn of a message, or of the turn that wrote a delivery.

        Raises:
            TraceNotFound: there is none.
        """

        def work(connection: Connection, _now: object) -> Trace:
            named = turn_id or _turn_of(connection, message_id, delivery_id)
            turn = turn_rows.find_turn(connection, named) if named else None
            if turn is None:
                raise TraceNotFound(turn_id=str(turn_id or message_id or delivery_id))
            return Trace(
                turn,
                tuple(turn_messages.messages_of(connection, turn.message_ids)),
                turn_rows.find_record(connection, turn.id),
                tuple(outbox_rows.deliveries_of_turn(connection, turn.id)),
            )

        return await self.store.read(work)


def _turn_of(connection: Connection, message_id: UUID | None, delivery_id: UUID | None) -> UUID | None:
    if message_id is not None:
        return turn_rows.newest_turn_of_message(connection, message_id)
    delivery = outbox_rows.find_delivery(connection, delivery_id) if delivery_id else None
    return delivery.turn_id if delivery else None
