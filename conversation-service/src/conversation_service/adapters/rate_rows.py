"""Rows of the accounts' rate buckets; replicas that share a database share the buckets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from conversation_service.adapters.insertion import insert_missing
from conversation_service.adapters.tables import RATE_BUCKETS
from conversation_service.domain.rate import RESERVE, Bucket, Limit, full, has_tokens, ready_at, refill

LimitOf = Callable[[str], Limit]


@dataclass(frozen=True, slots=True)
class Low:
    """Accounts that have to wait, and until when.

    Args:
        exhausted: those without a token.
        short: those with too few for a proof, which leaves some to messages; all of `exhausted` are among them.
    """

    exhausted: dict[str, datetime]
    short: dict[str, datetime]


def low_accounts(connection: Connection, limit_of: LimitOf, now: datetime) -> Low:
    """Return the accounts that have to wait now; a hint, read without a lock."""
    low = Low({}, {})
    for row in connection.execute(select(RATE_BUCKETS).where(RATE_BUCKETS.c.tokens < 1 + RESERVE)):
        limit = limit_of(row.account_id)
        bucket = refill(Bucket(row.tokens, row.refilled_at), limit, now)
        if not has_tokens(bucket, limit):
            low.exhausted[row.account_id] = ready_at(bucket, limit)
        if not has_tokens(bucket, limit, reserve=RESERVE):
            low.short[row.account_id] = ready_at(bucket, limit, 1 + RESERVE)
    return low


def lock_buckets(
    connection: Connection, account_ids: Iterable[str], limit_of: LimitOf, now: datetime
) -> dict[str, Bucket]:
    """Return the buckets of accounts, filled up to now; nobody else takes from them until the transaction ends.

    Locked in the order of their ids, and after everything else, so that no two transactions wait for each other.
    """
    wanted = sorted(set(account_ids))
    found = _select_locked(connection, wanted)
    missing = [account_id for account_id in wanted if account_id not in found]
    if missing:
        rows = [_row(account_id, full(limit_of(account_id), now)) for account_id in missing]
        insert_missing(connection, RATE_BUCKETS, rows)
        found = _select_locked(connection, wanted)
    return {account_id: refill(bucket, limit_of(account_id), now) for account_id, bucket in found.items()}


def save_buckets(connection: Connection, buckets: Mapping[str, Bucket]) -> None:
    """Store buckets that `lock_buckets` gave and leases took from."""
    if not buckets:
        return
    statement = (
        update(RATE_BUCKETS)
        .where(RATE_BUCKETS.c.account_id == bindparam("for_account"))
        .values(tokens=bindparam("new_tokens"), refilled_at=bindparam("new_time"))
    )
    connection.execute(
        statement,
        [{"for_account": key, "new_tokens": b.tokens, "new_time": b.refilled_at} for key, b in sorted(buckets.items())],
    )


def _select_locked(connection: Connection, account_ids: list[str]) -> dict[str, Bucket]:
    statement = (
        select(RATE_BUCKETS)
        .where(RATE_BUCKETS.c.account_id.in_(account_ids))
        .order_by(RATE_BUCKETS.c.account_id)
        .with_for_update()
    )
    return {row.account_id: Bucket(row.tokens, row.refilled_at) for row in connection.execute(statement)}


def _row(account_id: str, bucket: Bucket) -> dict[str, object]:
    return {"account_id": account_id, "tokens": bucket.tokens, "refilled_at": bucket.refilled_at}
