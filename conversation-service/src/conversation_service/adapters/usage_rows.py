"""Rows of what the accounts send in a month; one for each account and month."""

from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from conversation_service.adapters.tables import MONTHLY_USAGE
from conversation_service.domain.usage import Usage


def add_messages(connection: Connection, account_id: str, month: str, count: int) -> Usage:
    """Count messages that were sent, and return the month so far.

    Nobody else counts for the account until the transaction ends, so that each level is reached by one of them.
    """
    insert = postgres_insert if connection.dialect.name == "postgresql" else sqlite_insert
    row = insert(MONTHLY_USAGE).values(account_id=account_id, month=month, messages=count, alarmed_percent=0)
    counted = row.on_conflict_do_update(
        index_elements=[MONTHLY_USAGE.c.account_id, MONTHLY_USAGE.c.month],
        set_={"messages": MONTHLY_USAGE.c.messages + row.excluded.messages},
    ).returning(*MONTHLY_USAGE.c)
    return _usage(connection.execute(counted).one())


def set_alarmed(connection: Connection, usage: Usage, percent: int) -> None:
    """Record that a level was told of."""
    statement = update(MONTHLY_USAGE).where(
        MONTHLY_USAGE.c.account_id == usage.account_id, MONTHLY_USAGE.c.month == usage.month
    )
    connection.execute(statement.values(alarmed_percent=percent))


def usage_of(connection: Connection, account_id: str, month: str) -> Usage:
    """Return what an account has used in a month."""
    statement = select(MONTHLY_USAGE).where(MONTHLY_USAGE.c.account_id == account_id, MONTHLY_USAGE.c.month == month)
    row = connection.execute(statement).one_or_none()
    return Usage(account_id, month) if row is None else _usage(row)


def usages(connection: Connection, month: str) -> list[Usage]:
    """Return what each account that has sent anything in a month has used."""
    statement = select(MONTHLY_USAGE).where(MONTHLY_USAGE.c.month == month).order_by(MONTHLY_USAGE.c.account_id)
    return [_usage(row) for row in connection.execute(statement)]


def _usage(row: Row[Any]) -> Usage:
    return Usage(row.account_id, row.month, row.messages, row.alarmed_percent)
