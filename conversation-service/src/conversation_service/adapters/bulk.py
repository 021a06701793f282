"""Many rows in one statement: arrays on PostgreSQL, one prepared statement over and over on SQLite."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    Table,
    TextClause,
    bindparam,
    text,
)

from conversation_service.adapters.columns import UtcDateTime, Uuid

# Names of tables and columns are ours (hence the S608 exceptions); values travel as parameters.
Row = Mapping[str, Any]
ARRAY_TYPES: tuple[tuple[type, str], ...] = (
    (Uuid, "uuid"),
    (UtcDateTime, "timestamptz"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Float, "double precision"),
    (Boolean, "boolean"),
)


def bulk_insert(connection: Connection, table: Table, rows: Sequence[Row], suffix: str = "") -> int:
    """Insert rows and return how many there were; all rows have the same columns.

    Args:
        connection: the transaction.
        table: the table.
        rows: values by column name; at least one row.
        suffix: what follows the values, such as an ON CONFLICT clause that both databases understand.
    """
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        statement = _postgres_statement(f"INSERT INTO {table.name} ({', '.join(names)})", table, names, suffix)
        return connection.execute(statement, _arrays(table, names, rows)).rowcount
    values = ", ".join(f":{name}" for name in names)
    statement = _typed(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) {suffix}", table, names)  # noqa: S608
    return connection.execute(statement, list(rows)).rowcount


def bulk_update(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Update rows by their `id`; all rows have the same columns."""
    names = tuple(rows[0])
    changed = [name for name in names if name != "id"]
    if connection.dialect.name == "postgresql":
        setters = ", ".join(f"{name} = u.{name}" for name in changed)
        statement = _postgres_update(f"UPDATE {table.name} AS t SET {setters}", table, names)  # noqa: S608
        connection.execute(statement, _arrays(table, names, rows))
        return
    setters = ", ".join(f"{name} = :{name}" for name in changed)
    connection.execute(_typed(f"UPDATE {table.name} SET {setters} WHERE id = :id", table, names), list(rows))  # noqa: S608


@cache
def _typed(statement: str, table: Table, names: tuple[str, ...]) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))


@cache
def _postgres_statement(head: str, table: Table, names: tuple[str, ...], suffix: str) -> TextClause:
    return text(f"{head} {_unnested(table, names)} {suffix}")


@cache
def _postgres_update(head: str, table: Table, names: tuple[str, ...]) -> TextClause:
    return text(f"{head} FROM ({_unnested(table, names)}) AS u WHERE t.id = u.id")


def _unnested(table: Table, names: tuple[str, ...]) -> str:
    casts = ", ".join(f"CAST(:{name} AS {_array_type(table.c[name])}[])" for name in names)
    values = ", ".join(f"CAST({name} AS jsonb) AS {name}" if _is_json(table.c[name]) else name for name in names)
    return f"SELECT {values} FROM unnest({casts}) AS v({', '.join(names)})"  # noqa: S608


def _is_json(column: "Column[Any]") -> bool:
    return isinstance(column.type, JSON)


def _array_type(column: "Column[Any]") -> str:
    return next((name for kind, name in ARRAY_TYPES if isinstance(column.type, kind)), "text")


def _arrays(table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {name: [json.dumps(row[name]) if _is_json(table.c[name]) else row[name] for row in rows] for name in names}
