"""What ingest and turns ask for at every step costs what they touch, not what is stored: the databases say so."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import ClauseElement, Connection, Delete, Executable, Update, select, text
from sqlalchemy.ext.compiler import compiles

from conversation_service.adapters import (
    conversations,
    ingest_rows,
    messages,
    outcomes,
    turn_messages,
    turn_rows,
)
from conversation_service.adapters.bulk import bulk_insert
from conversation_service.adapters.keyed_rows import key_parameters, of_keys
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES, TURN_WORK, TURNS
from conversation_service.domain.ingest import ClientMessage, Content, Item
from conversation_service.use_cases.ingest import IngestUseCases
from kommomesh_runtime.accounts import Account, Accounts

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
STORED = 4000
ACCOUNT = "12345"
ONE = UUID(int=7)
# A list of keys, few beside what is stored: for many of few rows PostgreSQL rightly reads the whole table.
IDS = [UUID(int=number) for number in range(1, 9)]
CHATS = [(ACCOUNT, f"chat-{number}") for number in range(1, 9)]
SENT = [(ACCOUNT, f"m{number}") for number in range(1, 9)]
DECIDED = {"new_outcome": "answered", "new_reason": None}


class Explain(Executable, ClauseElement):
    """A statement whose plan is wanted."""

    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explain, "sqlite")
def _explain_sqlite(element: Explain, compiler: Any, **arguments: Any) -> str:
    return f"EXPLAIN QUERY PLAN {compiler.process(element.statement, **arguments)}"


@compiles(Explain, "postgresql")
def _explain_postgresql(element: Explain, compiler: Any, **arguments: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **arguments)}"


def _conversation(number: int) -> dict[str, object]:
    times = ("last_message_at", "floor_changed_at", "episode_started_at", "created_at", "updated_at")
    return {"id": UUID(int=number), "account_id": ACCOUNT, "kommo_chat_id": f"chat-{number}"} | dict.fromkeys(
        times, NOW
    )


def _message(number: int) -> dict[str, object]:
    return {
        "id": UUID(int=number),
        "account_id": ACCOUNT,
        "conversation_id": UUID(int=number),
        "kommo_message_id": f"m{number}",
        "role": "user",
        "outcome": None if number % 5 == 0 else "answered",
        "turn_id": UUID(int=number),
        "created_at": NOW,
        "ingested_at": NOW,
    }


def _turn_work(number: int) -> dict[str, object]:
    times = dict.fromkeys(("first_unread_at", "last_unread_at"), NOW)
    due_at = NOW if number < 10 else datetime(2027, 1, 1, tzinfo=UTC)
    return {"conversation_id": UUID(int=number), "account_id": ACCOUNT, "due_at": due_at, **times}


def _turn(number: int) -> dict[str, object]:
    names = {"worker_id": "w", "attempt": 1, "floor_number": 1, "leased_at": NOW}
    return {"id": UUID(int=number), "account_id": ACCOUNT, "conversation_id": UUID(int=number), **names}


def fill(connection: Connection, _now: datetime) -> None:
    """Store many conversations with a message, a turn that ended and a turn that is not due each."""
    for table, row in ((CONVERSATIONS, _conversation), (MESSAGES, _message), (TURN_WORK, _turn_work), (TURNS, _turn)):
        bulk_insert(connection, table, [row(number) for number in range(1, STORED)])
    connection.execute(text("ANALYZE"))


def _finding(statement: Any) -> Any:
    """Return what finds the rows of an update or a delete; a query stays as it is."""
    if not isinstance(statement, (Update, Delete)):
        return statement
    return select(statement.table).where(cast(Any, statement.whereclause))


async def _plan(store: Store, statement: Any, parameters: dict[str, Any]) -> str:
    def explain(connection: Connection, _now: datetime) -> str:
        # By the driver's cursor: the rows of a plan are not of the types that the statement has.
        cursor: Any = connection.execute(Explain(_finding(statement)), parameters).cursor
        return "\n".join(str(row[-1]) for row in cursor.fetchall())

    return await store.read(explain)


def _assert_searched(plan: str) -> None:
    assert "Seq Scan on" not in plan, plan
    # Tables that exist for a statement alone hold its parameters, and those have to be read.
    scanned = [line for line in plan.splitlines() if line.startswith("SCAN") and "json_each" not in line]
    # An index in the order that is asked for is read from its begin, up to the limit.
    assert [line for line in scanned if "ix_turn_work_due_at" not in line] == [], plan


STATEMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "conversation": (conversations.FIND, {"for_id": ONE}),
    "conversation, locked": (conversations.LOCK, {"for_id": ONE}),
    "conversation of a chat": (conversations.FIND_BY_CHAT, {"account": ACCOUNT, "chat": "chat-7"}),
    "conversations": (conversations.FIND_MANY, {"ids": IDS}),
    "unread to a person": (messages.HAND_UNREAD, {"ids": IDS, "reason": "r"}),
    "due turns": (turn_rows.DUE, {"now": NOW, "most": 10}),
    "next due turn": (turn_rows.NEXT_DUE, {}),
    "work of turns": (turn_rows.WORK_OF, {"ids": IDS}),
    "work of a turn, locked": (turn_rows.LOCK_WORK, {"for_id": ONE}),
    "work of turns, deleted": (turn_rows.DELETE_WORK, {"ids": IDS}),
    "turn": (turn_rows.FIND_TURN, {"for_id": ONE}),
    "free conversations": (turn_messages.LOCK_FREE, {"ids": IDS}),
    "bursts": (turn_messages.BURSTS, {"ids": IDS}),
    "history": (turn_messages.HISTORY, {"for_id": ONE, "since": NOW, "most": 40}),
    "messages": (turn_messages.MESSAGES_OF, {"ids": IDS}),
    "unread messages": (outcomes.UNREAD_OF, {"for_id": ONE}),
    "read messages, decided": (outcomes.DECIDE_READ, {"ids": IDS, **DECIDED}),
    "unread messages, decided": (outcomes.DECIDE_UNREAD, {"ids": IDS, **DECIDED}),
    "messages of a turn, decided": (outcomes.DECIDE_TURN, {"for_id": ONE, **DECIDED}),
    "copy of a sent message": (outcomes.REPORTED_COPY, {"account": ACCOUNT, "ids": ["m7", "m8"]}),
}


@pytest.fixture
async def full(store: Store) -> Store:
    await store.write(fill)
    return store


async def test_given_much_that_is_stored_when_a_hot_statement_runs_then_an_index_leads_to_each_row(full: Store) -> None:
    for statement, parameters in STATEMENTS.values():
        _assert_searched(await _plan(full, statement, parameters))


@pytest.mark.parametrize(
    ("query", "table", "name", "keys", "index"),
    [
        (
            ingest_rows.LOCKED_CHATS,
            CONVERSATIONS,
            "kommo_chat_id",
            CHATS,
            "kommo_conversations_account_id_kommo_chat_id",
        ),
        (ingest_rows.STORED_MESSAGES, MESSAGES, "kommo_message_id", SENT, "kommo_messages_account_id_kommo_message_id"),
    ],
)
async def test_given_much_that_is_stored_when_a_batch_looks_for_its_rows_then_the_unique_index_leads_there(
    full: Store, query: Any, table: Any, name: str, keys: Any, index: str
) -> None:
    dialect_name = await full.read(lambda connection, _now: connection.dialect.name)
    statement = of_keys(query, table, name, dialect_name)
    plan = await _plan(full, statement, key_parameters(keys, dialect_name))
    _assert_searched(plan)
    assert (index if dialect_name == "postgresql" else "(account_id=? AND") in plan, plan


def _steps_counted(connection: Connection, steps: list[int]) -> None:
    def count() -> int:
        steps[0] += 1
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(count, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_given_thousands_of_messages_when_a_batch_is_stored_then_sqlite_takes_the_steps_it_took_for_few(
    store: Store,
) -> None:
    ingest = IngestUseCases(store, Accounts.of(Account(id=ACCOUNT, subdomain="test")), limit_seconds=10)
    steps = [0]
    await store.write(lambda connection, _now: _steps_counted(connection, steps))

    async def cost(begin: int) -> int:
        before = steps[0]
        await ingest.ingest(
            [
                Item(ACCOUNT, f"new-{number}", ClientMessage(Content(f"n{number}")))
                for number in range(begin, begin + 40)
            ]
        )
        return steps[0] - before

    few = await cost(0)
    await store.write(fill)
    many = await cost(40)
    await ingest.aclose()
    assert few <= many <= few * 1.1
