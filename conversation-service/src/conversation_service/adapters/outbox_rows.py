"""Rows of deliveries, and of the work that they are to the workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    text,
    tuple_,
    update,
)

from conversation_service.adapters.delivery_values import delivery_of, delivery_values
from conversation_service.adapters.insertion import insert_missing
from conversation_service.adapters.tables import CONVERSATIONS, DELIVERIES, DELIVERY_WORK
from conversation_service.domain.alerts import ALERT_LANES
from conversation_service.domain.deliveries import (
    HAND_OVER_LANES,
    MESSAGE_LANE,
    SAID_LANES,
    Delivery,
    DeliveryKind,
    DeliveryState,
)

_IS_ALERT = DELIVERY_WORK.c.lane.in_(ALERT_LANES)
_PENDING = DELIVERIES.c.state == DeliveryState.PENDING.value

# A conversation and one of its lanes.
LaneKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class DeliveryWork:
    """The one row of a conversation's lane that has deliveries to send."""

    conversation_id: UUID
    lane: str
    account_id: str
    due_at: datetime
    delivery_id: UUID | None = None
    lease_id: UUID | None = None
    leased_until: datetime | None = None


def find_delivery(connection: Connection, delivery_id: UUID) -> Delivery | None:
    """Return a delivery, or None."""
    row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.id == delivery_id)).one_or_none()
    return None if row is None else delivery_of(row)


def deliveries_of_turn(connection: Connection, turn_id: UUID) -> list[Delivery]:
    """Return what a turn wrote, in order."""
    statement = select(DELIVERIES).where(DELIVERIES.c.turn_id == turn_id).order_by(DELIVERIES.c.sequence)
    return [delivery_of(row) for row in connection.execute(statement)]


def pending_by_conversation(connection: Connection, conversation_ids: Iterable[UUID]) -> dict[UUID, list[Delivery]]:
    """Return the messages that wait to be sent in each of the conversations, in order."""
    found = pending_by_lane(connection, ((one, MESSAGE_LANE) for one in conversation_ids))
    return {conversation_id: deliveries for (conversation_id, _), deliveries in found.items()}


def pending_by_lane(connection: Connection, keys: Iterable[LaneKey]) -> dict[LaneKey, list[Delivery]]:
    """Return what waits to be sent in each of the lanes, in order."""
    wanted = set(keys)
    conversations, lanes = {one for one, _ in wanted}, {lane for _, lane in wanted}
    statement = (
        select(DELIVERIES)
        .where(_PENDING, DELIVERIES.c.conversation_id.in_(conversations), DELIVERIES.c.lane.in_(sorted(lanes)))
        .order_by(DELIVERIES.c.conversation_id, DELIVERIES.c.lane, DELIVERIES.c.sequence)
    )
    found = groupby(map(delivery_of, connection.execute(statement)), key=lambda one: (one.conversation_id, one.lane))
    return {key: list(group) for key, group in found if key in wanted}


def pending_of_hand_overs(connection: Connection, conversation_id: UUID) -> list[Delivery]:
    """Return what waits of hand-overs in a conversation, the messages of their notices apart."""
    statement = select(DELIVERIES).where(
        _PENDING, DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.lane.in_(HAND_OVER_LANES)
    )
    return [delivery_of(row) for row in connection.execute(statement)]


def has_pending(connection: Connection, conversation_id: UUID, lane: str = MESSAGE_LANE) -> bool:
    """Tell whether anything waits to be sent in a lane of a conversation, now or later."""
    return first_pending(connection, conversation_id, lane) is not None


def first_pending(connection: Connection, conversation_id: UUID, lane: str = MESSAGE_LANE) -> Delivery | None:
    """Return the oldest delivery that waits in a lane of a conversation; None when nothing does."""
    statement = (
        select(DELIVERIES)
        .where(_PENDING, DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.lane == lane)
        .order_by(DELIVERIES.c.sequence)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else delivery_of(row)


def newest_deliveries(connection: Connection, conversation_id: UUID, limit: int) -> list[Delivery]:
    """Return the newest messages among the deliveries of a conversation, the oldest of them first."""
    statement = (
        select(DELIVERIES)
        .where(DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.lane.in_(SAID_LANES))
        .order_by(DELIVERIES.c.sequence.desc())
        .limit(limit)
    )
    return [delivery_of(row) for row in connection.execute(statement)][::-1]


def claimed_ids(connection: Connection, delivery: Delivery, since: datetime) -> tuple[str, ...]:
    """Return Kommo's ids that prove other deliveries of the conversation, settled since a time."""
    is_about_words = delivery.kind.is_said or delivery.kind is DeliveryKind.PROOF
    lanes = SAID_LANES if is_about_words else (delivery.lane,)
    statement = select(DELIVERIES.c.kommo_message_ids).where(
        DELIVERIES.c.conversation_id == delivery.conversation_id,
        DELIVERIES.c.lane.in_(lanes),
        DELIVERIES.c.id != delivery.id,
        DELIVERIES.c.finished_at >= since,
    )
    return tuple(kommo_id for ids in connection.scalars(statement) for kommo_id in ids)


def dead_deliveries(
    connection: Connection, account_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[Delivery]:
    """Return dead letters of an account, the newest first.

    Args:
        connection: the transaction.
        account_id: the account.
        before: when the last one of the page before was given up, and its id; None for the first page.
        limit: most of them.
    """
    key = tuple_(DELIVERIES.c.finished_at, DELIVERIES.c.id)
    statement = select(DELIVERIES).where(
        DELIVERIES.c.state == DeliveryState.DEAD.value, DELIVERIES.c.account_id == account_id
    )
    if before is not None:
        statement = statement.where(key < tuple_(*_typed_key(before)))
    statement = statement.order_by(DELIVERIES.c.finished_at.desc(), DELIVERIES.c.id.desc()).limit(limit)
    return [delivery_of(row) for row in connection.execute(statement)]


def accepted(connection: Connection, conversation_id: UUID, since: datetime, limit: int) -> list[Delivery]:
    """Return messages of a conversation that Kommo has accepted and of which no more is known, the oldest first.

    Args:
        connection: the transaction.
        conversation_id: the conversation.
        since: those that are looked for, however old, and of the others those accepted since then.
        limit: most of them.
    """
    is_open = DELIVERIES.c.proved_at.is_(None)
    statement = (
        select(DELIVERIES)
        .where(DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.proof_state == text("'accepted'"))
        .where(is_open | (DELIVERIES.c.finished_at >= since))
        .order_by(is_open.desc(), DELIVERIES.c.finished_at, DELIVERIES.c.sequence)
        .limit(limit)
    )
    return [delivery_of(row) for row in connection.execute(statement)]


def put_delivery(connection: Connection, delivery: Delivery) -> None:
    """Store a delivery, in place of one that had its id before."""
    if find_delivery(connection, delivery.id) is None:
        insert_deliveries(connection, [delivery])
    else:
        save_deliveries(connection, [delivery])


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries."""
    if deliveries:
        connection.execute(insert(DELIVERIES), [delivery_values(delivery) for delivery in deliveries])


def save_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store what changed of deliveries."""
    if not deliveries:
        return
    changing = [name for name in delivery_values(deliveries[0]) if name != "id"]
    statement = (
        update(DELIVERIES)
        .where(DELIVERIES.c.id == bindparam("for_id"))
        .values({name: bindparam(f"new_{name}") for name in changing})
    )
    connection.execute(statement, [_prefixed(delivery_values(delivery)) for delivery in deliveries])


def due_lanes(
    connection: Connection, now: datetime, excluded: Iterable[str], limit: int, short: Iterable[str] = ()
) -> list[LaneKey]:
    """Return lanes of conversations whose deliveries are due, the longest due first; their work is locked.

    Args:
        connection: the transaction.
        now: its time.
        excluded: accounts that cannot send now, and therefore hold up nobody.
        limit: most of them.
        short: accounts whose proofs have to wait, and therefore hold up no message.
    """
    statement = due_statement(now, excluded, limit, short)
    return [(row.conversation_id, row.lane) for row in connection.execute(statement)]


def due_statement(
    now: datetime, excluded: Iterable[str], limit: int, short: Iterable[str] = ()
) -> Select[tuple[UUID, str]]:
    """Return the statement of `due_lanes`, which has to cost what is due and not what is stored."""
    chosen = select(DELIVERY_WORK.c.conversation_id, DELIVERY_WORK.c.lane).where(DELIVERY_WORK.c.due_at <= now)
    statement = _of_others(chosen, excluded, short)
    return statement.order_by(DELIVERY_WORK.c.due_at).limit(limit).with_for_update(skip_locked=True)


def next_due(connection: Connection, excluded: Iterable[str], short: Iterable[str] = ()) -> datetime | None:
    """Return when the next work of an account that can send is due; None when there is none."""
    statement = _of_others(select(DELIVERY_WORK.c.due_at), excluded, short)
    due_at: datetime | None = connection.scalar(statement.order_by(DELIVERY_WORK.c.due_at).limit(1))
    return due_at


def oldest_due(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Return by lane since when the work that waits longest there has been due; lanes without any are left out."""
    statement = (
        select(DELIVERY_WORK.c.lane, func.min(DELIVERY_WORK.c.due_at).label("oldest_at"))
        .where(DELIVERY_WORK.c.due_at <= now)
        .group_by(DELIVERY_WORK.c.lane)
    )
    return {row.lane: row.oldest_at for row in connection.execute(statement)}


def lock_work(connection: Connection, conversation_id: UUID, lane: str = MESSAGE_LANE) -> DeliveryWork | None:
    """Return the work of a lane of a conversation, locked; None when nothing waits there."""
    statement = select(DELIVERY_WORK).where(
        DELIVERY_WORK.c.conversation_id == conversation_id, DELIVERY_WORK.c.lane == lane
    )
    row = connection.execute(statement.with_for_update()).one_or_none()
    if row is None:
        return None
    return DeliveryWork(
        row.conversation_id, row.lane, row.account_id, row.due_at, row.delivery_id, row.lease_id, row.leased_until
    )


def add_work(
    connection: Connection, conversation_id: UUID, account_id: str, due_at: datetime, lane: str = MESSAGE_LANE
) -> None:
    """Make the deliveries of a conversation's lane due; work that waits or is held stays as it is."""
    row = {"conversation_id": conversation_id, "lane": lane, "account_id": account_id, "due_at": due_at}
    insert_missing(connection, DELIVERY_WORK, [row])


def save_work(connection: Connection, work: Sequence[DeliveryWork]) -> None:
    """Store when work is due, and who holds what of it."""
    if not work:
        return
    statement = (
        update(DELIVERY_WORK)
        .where(DELIVERY_WORK.c.conversation_id == bindparam("for_id"), DELIVERY_WORK.c.lane == bindparam("for_lane"))
        .values(
            due_at=bindparam("new_due_at"),
            delivery_id=bindparam("new_delivery_id"),
            lease_id=bindparam("new_lease_id"),
            leased_until=bindparam("new_leased_until"),
        )
    )
    connection.execute(statement, [_work_values(one) for one in work])


def delete_work(connection: Connection, keys: Iterable[LaneKey]) -> None:
    """Forget the work of lanes that have nothing left to send."""
    for lane, group in groupby(sorted(keys, key=lambda key: key[1]), key=lambda key: key[1]):
        ids = [conversation_id for conversation_id, _ in group]
        connection.execute(
            delete(DELIVERY_WORK).where(DELIVERY_WORK.c.conversation_id.in_(ids), DELIVERY_WORK.c.lane == lane)
        )


def use_talk(connection: Connection, conversation_id: UUID, talk_id: str) -> None:
    """Record the talk that took a delivery; a newer event of Kommo names another."""
    connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(kommo_talk_id=talk_id))


def _of_others(statement: Select[Any], excluded: Iterable[str], short: Iterable[str]) -> Select[Any]:
    accounts, waiting = sorted(excluded), sorted(short)
    if accounts:
        # An alert asks nothing of Kommo, so that nothing of Kommo's holds it up.
        statement = statement.where(or_(DELIVERY_WORK.c.account_id.not_in(accounts), _IS_ALERT))
    if waiting:
        is_waiting = and_(DELIVERY_WORK.c.lane == DeliveryKind.PROOF.lane, DELIVERY_WORK.c.account_id.in_(waiting))
        statement = statement.where(not_(is_waiting))
    return statement


def _typed_key(key: tuple[datetime, UUID]) -> tuple[Any, Any]:
    return (
        bindparam(None, key[0], type_=DELIVERIES.c.finished_at.type),
        bindparam(None, key[1], type_=DELIVERIES.c.id.type),
    )


def _prefixed(values: Mapping[str, object]) -> dict[str, object]:
    return {("for_id" if name == "id" else f"new_{name}"): value for name, value in values.items()}


def _work_values(work: DeliveryWork) -> dict[str, object]:
    return {
        "for_id": work.conversation_id,
        "for_lane": work.lane,
        "new_due_at": work.due_at,
        "new_delivery_id": work.delivery_id,
        "new_lease_id": work.lease_id,
        "new_leased_until": work.leased_until,
    }
