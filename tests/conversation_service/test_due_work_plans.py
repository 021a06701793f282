"""Finding due work costs what is due: the databases say which way they take."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from conversation_service.adapters import outbox_rows
from conversation_service.adapters.tables import CONVERSATIONS, DELIVERY_WORK, TURN_WORK

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
IDLE = 3000


def rows(connection, _now):
    """Store conversations whose work is due in an hour, and a few that are due now."""
    ids = [UUID(int=number + 1) for number in range(IDLE)]
    times = dict.fromkeys(
        ("last_message_at", "floor_changed_at", "episode_started_at", "created_at", "updated_at"), NOW
    )
    base = [{"id": one, "account_id": "12345", "kommo_chat_id": str(one), **times} for one in ids]
    due = [NOW - timedelta(seconds=1) if number < 5 else NOW + timedelta(hours=1) for number in range(IDLE)]
    connection.execute(insert(CONVERSATIONS), base)
    turns = [
        {"conversation_id": one, "account_id": "12345", "due_at": at, "first_unread_at": NOW, "last_unread_at": NOW}
        for one, at in zip(ids, due, strict=True)
    ]
    connection.execute(insert(TURN_WORK), turns)
    lanes = [
        {"conversation_id": one, "lane": "message", "account_id": "12345", "due_at": at}
        for one, at in zip(ids, due, strict=True)
    ]
    connection.execute(insert(DELIVERY_WORK), lanes)
    connection.execute(text("ANALYZE"))


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (outbox_rows.due_statement(NOW, [], 10), "ix_delivery_work_due_at_account_id"),
        (outbox_rows.due_statement(NOW, ["777"], 10), "ix_delivery_work_due_at_account_id"),
        (outbox_rows.due_statement(NOW, ["777"], 10, ["778"]), "ix_delivery_work_due_at_account_id"),
    ],
)
async def test_given_much_idle_work_when_due_work_is_looked_for_then_the_index_leads_there(store, statement, index):
    await store.write(rows)

    def plan(connection, _now):
        is_sqlite = connection.dialect.name == "sqlite"
        compiled = str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        found = connection.exec_driver_sql(f"{explain} {compiled}").all()
        return "\n".join(str(row[-1]) for row in found), len(connection.execute(statement).all())

    steps, due = await store.read(plan)
    assert index in steps
    assert "Seq Scan" not in steps
    assert "SCAN" not in steps
    assert due == 5
