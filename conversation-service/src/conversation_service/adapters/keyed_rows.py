"""Finding rows by an account and a name, many at once and always by an index."""

import json
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, text

Key = tuple[str, str]

# One text whatever the number of keys, so that it is prepared once. A subquery on SQLite too, which searches no index
# for a list of row values: it would read the whole table.
PAIRS = {
    "postgresql": "SELECT * FROM unnest(CAST(:accounts AS text[]), CAST(:names AS text[]))",
    "sqlite": "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:keys)",
}


@cache
def of_keys(query: Select[Any], table: Table, name: str, dialect_name: str) -> Select[Any]:
    """Return the query for those rows whose account and whose column `name` are one of the keys.

    Args:
        query: what to select; a constant, since the result is kept.
        table: the table of both columns.
        name: the column beside `account_id`.
        dialect_name: the database.
    """
    return query.where(text(f"({table.name}.account_id, {table.name}.{name}) IN ({PAIRS[dialect_name]})"))


def key_parameters(keys: Collection[Key], dialect_name: str) -> dict[str, Any]:
    """Return the parameters of a statement of `of_keys`."""
    if dialect_name == "postgresql":
        return {"accounts": [account_id for account_id, _ in keys], "names": [name for _, name in keys]}
    return {"keys": json.dumps(list(keys))}
