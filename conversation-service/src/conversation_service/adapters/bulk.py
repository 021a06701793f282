"""Many rows in one statement: arrays on PostgreSQL, one prepared statement over and over on SQLite."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    Integer,
    Table,
    TextClause,
    text,
)

from conversation_service.adapters.columns import UtcDateTime, Uuid

# Names of tables and columns are ours (hence the S608 exceptions); values travel as parameters.
Row = Mapping[str, Any]
Encoder = Callable[[Any], Any]
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
    head = f"INSERT INTO {table.name} ({', '.join(names)})"
    if connection.dialect.name == "postgresql":
        statement = _postgres_statement(head, table, names, suffix)
        return connection.execute(statement, _arrays(table, names, rows)).rowcount
    places = ", ".join("?" * len(names))
    encoded = _encoded(connection.dialect, table, names, rows)
    return connection.exec_driver_sql(f"{head} VALUES ({places}) {suffix}", encoded).rowcount


def bulk_update(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Update rows by their `id`; all rows have the same columns."""
    names = tuple(rows[0])
    changed = tuple(name for name in names if name != "id")
    if connection.dialect.name == "postgresql":
        setters = ", ".join(f"{name} = u.{name}" for name in changed)
        statement = _postgres_update(f"UPDATE {table.name} AS t SET {setters}", table, names)  # noqa: S608
        connection.execute(statement, _arrays(table, names, rows))
        return
    setters = ", ".join(f"{name} = ?" for name in changed)
    encoded = _encoded(connection.dialect, table, (*changed, "id"), rows)
    connection.exec_driver_sql(f"UPDATE {table.name} SET {setters} WHERE id = ?", encoded)  # noqa: S608


def _encoded(dialect: Dialect, table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return the rows as SQLite's driver takes them, which costs a fraction of SQLAlchemy's way through its types."""
    encoders = _encoders(dialect, table, names)
    # A batch holds the same few times again and again.
    times: dict[datetime, Any] = {}
    return [tuple(_encode(row[name], encoder, times) for name, encoder in encoders) for row in rows]


def _encode(value: Any, encoder: Encoder | None, times: dict[datetime, Any]) -> Any:
    if value is None or encoder is None:
        return value
    if not isinstance(value, datetime):
        return encoder(value)
    known = times.get(value)
    if known is None:
        known = times[value] = encoder(value)
    return known


@cache
def _encoders(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[tuple[str, Encoder | None], ...]:
    types = ((name, table.c[name].type.dialect_impl(dialect)) for name in names)
    return tuple((name, kind.bind_processor(dialect)) for name, kind in types)


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
    arrays: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    for name in _json_names(table, names):
        arrays[name] = [json.dumps(value) for value in arrays[name]]
    return arrays


@cache
def _json_names(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if _is_json(table.c[name]))
