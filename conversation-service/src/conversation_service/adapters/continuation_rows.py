"""The rows of Salesbots that wait: the newest one of each lead."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from conversation_service.adapters.bulk import bulk_insert
from conversation_service.adapters.keyed_rows import key_parameters, of_keys
from conversation_service.adapters.tables import SALESBOT_CONTINUATIONS
from conversation_service.domain.continuations import Continuation
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.ingest import IngestOutcome, IngestResult

# Longer than any delivery is attempted: a repeated attempt has to get the bot that it had.
KEPT_FOR = timedelta(hours=48)
FORGOTTEN_AT_ONCE = 10
KNOWN = select(
    SALESBOT_CONTINUATIONS.c.account_id, SALESBOT_CONTINUATIONS.c.lead_id, SALESBOT_CONTINUATIONS.c.return_url
)
# The same address again is the same request repeated: a continuation that was used must not look unused by it.
KEEP_NEWEST = (
    "ON CONFLICT (account_id, lead_id) DO UPDATE SET return_url = excluded.return_url, "
    "received_at = excluded.received_at, expires_at = excluded.expires_at, used_at = NULL, delivery_id = NULL "
    "WHERE salesbot_continuations.return_url <> excluded.return_url"
)

_AT = bindparam("at", type_=SALESBOT_CONTINUATIONS.c.used_at.type)
_DELIVERY = bindparam("for_delivery", type_=SALESBOT_CONTINUATIONS.c.delivery_id.type)
_IS_OWN = SALESBOT_CONTINUATIONS.c.delivery_id == _DELIVERY
_IS_FREE = SALESBOT_CONTINUATIONS.c.used_at.is_(None) & (SALESBOT_CONTINUATIONS.c.expires_at > _AT)
_USED = (
    update(SALESBOT_CONTINUATIONS)
    .where(
        SALESBOT_CONTINUATIONS.c.account_id == bindparam("of_account"),
        SALESBOT_CONTINUATIONS.c.lead_id == bindparam("of_lead"),
    )
    .values(used_at=func.coalesce(SALESBOT_CONTINUATIONS.c.used_at, _AT), delivery_id=_DELIVERY)
    .returning(SALESBOT_CONTINUATIONS.c.return_url, SALESBOT_CONTINUATIONS.c.expires_at)
)
TAKE_OWN = _USED.where(_IS_OWN)
TAKE = _USED.where(_IS_OWN | _IS_FREE)


def store_continuations(
    connection: Connection, continuations: Sequence[Continuation], now: datetime
) -> list[IngestResult]:
    """Keep the newest continuation of each lead and return what became of each, in their order.

    Args:
        connection: the transaction.
        continuations: at least one, the newest last.
        now: time of arrival.
    """
    dialect_name = connection.dialect.name
    query = of_keys(KNOWN, SALESBOT_CONTINUATIONS, "lead_id", dialect_name)
    keys = {one.key for one in continuations}
    known = {(row[0], row[1]): row[2] for row in connection.execute(query, key_parameters(keys, dialect_name))}
    newest: dict[tuple[str, str], Continuation] = {}
    results = []
    for one in continuations:
        is_repeat = known.get(one.key) == one.return_url
        results.append(IngestResult(IngestOutcome.DUPLICATE if is_repeat else IngestOutcome.STORED))
        if not is_repeat:
            known[one.key], newest[one.key] = one.return_url, one
    if newest:
        _forget_ended(connection, now)
        # In key order, as all take their locks.
        rows = [_row(newest[key], now) for key in sorted(newest)]
        bulk_insert(connection, SALESBOT_CONTINUATIONS, rows, KEEP_NEWEST)
    return results


def take_continuation(connection: Connection, delivery: Delivery, lead_id: str, now: datetime) -> Continuation | None:
    """Return the Salesbot that waits for a delivery, which from now on waits for no other one; None when none does.

    A bot takes one answer. So a repeated attempt gets the bot that it had, even when that has ended meanwhile, and one
    without a known outcome gets no other: what it may have said to the first must not be said to a second.

    Args:
        connection: the transaction.
        delivery: as it was before the lease.
        lead_id: Kommo's lead of its conversation.
        now: the time of the lease.
    """
    row = connection.execute(
        TAKE_OWN if delivery.unclear_since_at else TAKE,
        {"of_account": delivery.account_id, "of_lead": lead_id, "for_delivery": delivery.id, "at": now},
    ).one_or_none()
    return None if row is None else Continuation(delivery.account_id, lead_id, row.return_url, row.expires_at)


def _forget_ended(connection: Connection, now: datetime) -> None:
    """Delete some of the bots that no attempt asks for any more; each new one takes a few of them along."""
    key = (SALESBOT_CONTINUATIONS.c.account_id, SALESBOT_CONTINUATIONS.c.lead_id)
    ended = (
        select(*key)
        .where(SALESBOT_CONTINUATIONS.c.expires_at < now - KEPT_FOR)
        .order_by(SALESBOT_CONTINUATIONS.c.expires_at)
        .limit(FORGOTTEN_AT_ONCE)
        # Another transaction may be at it: it never waits for it.
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(SALESBOT_CONTINUATIONS).where(tuple_(*key).in_(ended)))


def _row(continuation: Continuation, now: datetime) -> dict[str, object]:
    return {
        "account_id": continuation.account_id,
        "lead_id": continuation.lead_id,
        "return_url": continuation.return_url,
        "received_at": now,
        "expires_at": continuation.expires_at,
    }
