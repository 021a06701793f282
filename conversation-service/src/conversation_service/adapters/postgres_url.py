"""What a database address means to asyncpg."""

import ssl
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, make_url

POSTGRES_SCHEMES = ("postgres", "postgresql")
DEFAULT_STATEMENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """Where a PostgreSQL database is and how connections to it are made.

    Args:
        url: the address for SQLAlchemy, without its parameters.
        connect_args: keyword arguments of `asyncpg.connect` that the address cannot carry.
    """

    url: URL
    connect_args: dict[str, Any]

    def asyncpg_args(self) -> dict[str, Any]:
        """Return everything that `asyncpg.connect` needs for a connection outside of the pool."""
        where = {
            "host": self.url.host,
            "port": self.url.port,
            "user": self.url.username,
            "password": self.url.password,
            "database": self.url.database,
        }
        known = {key: value for key, value in self.connect_args.items() if not key.startswith("prepared_")}
        return {key: value for key, value in where.items() if value is not None} | known


def is_postgres(database_url: str) -> bool:
    """Tell whether the address names a PostgreSQL database."""
    return database_url.split(":", 1)[0].split("+", 1)[0] in POSTGRES_SCHEMES


def _ssl_context(mode: str, root_certificate: str | None) -> Any:
    if root_certificate is None or mode not in ("verify-ca", "verify-full"):
        return mode
    context = ssl.create_default_context(cafile=root_certificate)
    context.check_hostname = mode == "verify-full"
    return context


def parse_postgres_url(
    database_url: str,
    *,
    is_pooled: bool = False,
    connect_seconds: float = 0.6,
    statement_seconds: float = DEFAULT_STATEMENT_SECONDS,
) -> PostgresAddress:
    """Return the address of a `postgres://`, `postgresql://` or `postgresql+asyncpg://` URL.

    Args:
        database_url: the URL; `host`, `port`, `sslmode` and `sslrootcert` may stand in its query, others are ignored.
        is_pooled: a transaction pooler stands between; no statement is prepared by name and no session setting is made.
        connect_seconds: a connection that takes longer has failed.
        statement_seconds: a statement that takes longer has failed.
    """
    given = make_url(database_url)
    query = {key: value if isinstance(value, str) else value[0] for key, value in given.query.items()}
    connect_args: dict[str, Any] = {"timeout": connect_seconds, "command_timeout": statement_seconds}
    url = given.set(drivername="postgresql+asyncpg", query={})
    if "host" in query:
        # A folder of sockets; it does not fit where a URL has its host.
        connect_args["host"] = query["host"]
    if "port" in query:
        url = url.set(port=int(query["port"]))
    mode = query.get("sslmode") or query.get("ssl")
    if mode:
        connect_args["ssl"] = _ssl_context(mode, query.get("sslrootcert"))
    if is_pooled:
        connect_args |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        connect_args["prepared_statement_name_func"] = lambda: ""
    else:
        connect_args["server_settings"] = session_settings(statement_seconds)
    return PostgresAddress(url, connect_args)


def session_settings(statement_seconds: float) -> dict[str, str]:
    """Return the settings of a session of the mesh."""
    milliseconds = str(round(statement_seconds * 1000))
    return {
        "application_name": "kommomesh-conversation",
        "timezone": "UTC",
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "jit": "off",
    }
