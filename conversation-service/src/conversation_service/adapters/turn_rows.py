"""Rows of turns, and of the work that conversations are to the workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Row, bindparam, delete, insert, select, update

from conversation_service.adapters.tables import MESSAGES, TURN_WORK, TURNS
from conversation_service.domain.turns import Turn, TurnResult, Work

WORK_NAMES = ("due_at", "first_unread_at", "last_unread_at", "turn_id", "leased_until", "attempts", "superseded_count")
END_NAMES = ("result", "completed_at", "reason_code", "reason", "analysis", "generation", "steps")

DUE = (
    select(TURN_WORK.c.conversation_id)
    .where(TURN_WORK.c.due_at <= bindparam("now"))
    .order_by(TURN_WORK.c.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
NEXT_DUE = select(TURN_WORK.c.due_at).order_by(TURN_WORK.c.due_at).limit(1)
WORK_OF = select(TURN_WORK).where(TURN_WORK.c.conversation_id.in_(bindparam("ids", expanding=True)))
LOCK_WORK = select(TURN_WORK).where(TURN_WORK.c.conversation_id == bindparam("for_id")).with_for_update()
SAVE_WORK = (
    update(TURN_WORK)
    .where(TURN_WORK.c.conversation_id == bindparam("for_id"))
    .values({name: bindparam(f"new_{name}") for name in WORK_NAMES})
)
DELETE_WORK = delete(TURN_WORK).where(TURN_WORK.c.conversation_id.in_(bindparam("ids", expanding=True)))
INSERT_TURNS = insert(TURNS)
FIND_TURN = select(TURNS).where(TURNS.c.id == bindparam("for_id"))
END_TURN = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("for_id"))
    .values({name: bindparam(f"new_{name}") for name in END_NAMES})
)


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What a turn leaves for its trace, as protobuf JSON."""

    analysis: Mapping[str, Any] | None = None
    generation: Mapping[str, Any] | None = None
    steps: Sequence[Mapping[str, Any]] = ()


def due_conversations(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """Return conversations whose turn is due, the longest due first; their work is locked."""
    return list(connection.scalars(DUE, {"now": now, "most": limit}))


def next_due(connection: Connection) -> datetime | None:
    """Return when the next turn is due; None when there is none."""
    return connection.scalar(NEXT_DUE)


def work_of(connection: Connection, conversation_ids: Iterable[UUID]) -> dict[UUID, Work]:
    """Return the work of conversations."""
    rows = connection.execute(WORK_OF, {"ids": list(conversation_ids)})
    return {row.conversation_id: _work(row) for row in rows}


def lock_work(connection: Connection, conversation_id: UUID) -> Work | None:
    """Return the work of a conversation, locked; None when no turn is due or running there."""
    row = connection.execute(LOCK_WORK, {"for_id": conversation_id}).one_or_none()
    return None if row is None else _work(row)


def save_work(connection: Connection, work: Sequence[Work]) -> None:
    """Store what changed of work."""
    if not work:
        return
    rows = [{"for_id": one.conversation_id, **_prefixed({n: getattr(one, n) for n in WORK_NAMES})} for one in work]
    connection.execute(SAVE_WORK, rows)


def delete_work(connection: Connection, conversation_ids: Iterable[UUID]) -> None:
    """Forget the work of conversations that have nothing left to read."""
    ids = list(conversation_ids)
    if ids:
        connection.execute(DELETE_WORK, {"ids": ids})


def insert_turns(connection: Connection, turns: Sequence[Turn]) -> None:
    """Store new turns."""
    if turns:
        connection.execute(INSERT_TURNS, [_turn_values(turn) for turn in turns])


def find_turn(connection: Connection, turn_id: UUID) -> Turn | None:
    """Return a turn, or None."""
    row = connection.execute(FIND_TURN, {"for_id": turn_id}).one_or_none()
    return None if row is None else _turn(row)


def find_record(connection: Connection, turn_id: UUID) -> TurnRecord:
    """Return what a turn left for its trace."""
    columns = (TURNS.c.analysis, TURNS.c.generation, TURNS.c.steps)
    row = connection.execute(select(*columns).where(TURNS.c.id == turn_id)).one()
    return TurnRecord(row.analysis, row.generation, tuple(row.steps))


def newest_turn_of_message(connection: Connection, message_id: UUID) -> UUID | None:
    """Return the newest turn that read or wrote a message; None when there is none."""
    message = connection.execute(
        select(MESSAGES.c.turn_id, MESSAGES.c.conversation_id, MESSAGES.c.ingested_at).where(
            MESSAGES.c.id == message_id
        )
    ).one_or_none()
    if message is None or message.turn_id is not None:
        return None if message is None else message.turn_id
    # A turn that was superseded, lost or overtaken by a person leaves no mark at its messages.
    turns = connection.execute(
        select(TURNS.c.id, TURNS.c.message_ids)
        .where(TURNS.c.conversation_id == message.conversation_id, TURNS.c.leased_at >= message.ingested_at)
        .order_by(TURNS.c.leased_at.desc())
    )
    return next((turn.id for turn in turns if str(message_id) in turn.message_ids), None)


def end_turn(connection: Connection, turn: Turn, result: TurnResult, now: datetime, record: TurnRecord) -> Turn:
    """Store how a turn ended, and return it; its reasons are those it carries."""
    ended = replace(turn, result=result, completed_at=now)
    values = {
        "result": result.value,
        "completed_at": now,
        "reason_code": ended.reason_code or None,
        "reason": ended.reason or None,
        "analysis": record.analysis,
        "generation": record.generation,
        "steps": list(record.steps),
    }
    connection.execute(END_TURN, {"for_id": turn.id, **_prefixed(values)})
    return ended


def _prefixed(values: Mapping[str, object]) -> dict[str, object]:
    # A parameter of an update may not have the name of a column.
    return {f"new_{name}": value for name, value in values.items()}


def _work(row: Row[Any]) -> Work:
    return Work(
        conversation_id=row.conversation_id,
        account_id=row.account_id,
        due_at=row.due_at,
        first_unread_at=row.first_unread_at,
        last_unread_at=row.last_unread_at,
        turn_id=row.turn_id,
        leased_until=row.leased_until,
        attempts=row.attempts,
        superseded_count=row.superseded_count,
    )


def _turn_values(turn: Turn) -> dict[str, object]:
    return {
        "id": turn.id,
        "account_id": turn.account_id,
        "conversation_id": turn.conversation_id,
        "worker_id": turn.worker_id,
        "attempt": turn.attempt,
        "floor_number": turn.floor_number,
        "message_ids": [str(message_id) for message_id in turn.message_ids],
        "leased_at": turn.leased_at,
    }


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        id=row.id,
        account_id=row.account_id,
        conversation_id=row.conversation_id,
        worker_id=row.worker_id,
        attempt=row.attempt,
        floor_number=row.floor_number,
        message_ids=tuple(UUID(message_id) for message_id in row.message_ids),
        leased_at=row.leased_at,
        result=None if row.result is None else TurnResult(row.result),
        reason_code=row.reason_code or "",
        reason=row.reason or "",
        completed_at=row.completed_at,
    )
