"""Deliveries that are due later or follow a message, the proof of a message, and ways to answer a Salesbot."""

import sqlalchemy as sa
from alembic import op

from conversation_service.adapters.columns import UtcDateTime, Uuid

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CHAT_REF_INDEX = "uq_kommo_conversations_chat_ref"
OLD_KINDS = ("reply", "notice", "note", "task", "lead_update")
# Each of these waits in a lane of its own name, an alert in one of its own kind, such as `alert_nobody_came`.
NEW_KINDS = ("reminder", "courtesy", "alert", "proof", "relay", "mirror", "viewing")
ONCE_BEFORE = "lane <> 'message'"
ONCE = "lane IN ('note', 'task', 'lead_update', 'reminder', 'courtesy', 'alert_nobody_came', 'alert_package_waiting')"
ACCEPTED_INDEX = "ix_deliveries_accepted"
ACCEPTED = "proof_state = 'accepted'"
PROOF_STATES = "proof_state IN ('accepted', 'delivered', 'read', 'failed')"


def _one_of(kinds: tuple[str, ...]) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"


def _set_once(condition: str) -> None:
    op.drop_index("uq_deliveries_action", table_name="deliveries")
    op.create_index(
        "uq_deliveries_action",
        "deliveries",
        ["conversation_id", "lane", "floor_number"],
        unique=True,
        postgresql_where=sa.text(condition),
        sqlite_where=sa.text(condition),
    )


def _change_deliveries() -> None:
    # In a batch, because SQLite changes a constraint by copying the table.
    with op.batch_alter_table("deliveries") as table:
        table.add_column(sa.Column("not_before_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("proof_state", sa.Text(), nullable=True))
        table.add_column(sa.Column("proof_source", sa.Text(), nullable=True))
        table.add_column(sa.Column("proof_reason", sa.Text(), nullable=True))
        table.add_column(sa.Column("proved_at", UtcDateTime(), nullable=True))
        table.drop_constraint(op.f("ck_deliveries_kind"), type_="check")
        table.create_check_constraint(op.f("ck_deliveries_kind"), _one_of((*OLD_KINDS, *NEW_KINDS)))
        table.create_check_constraint(op.f("ck_deliveries_proof_state"), PROOF_STATES)
    op.create_index(
        ACCEPTED_INDEX,
        "deliveries",
        ["conversation_id", "finished_at"],
        postgresql_where=sa.text(ACCEPTED),
        sqlite_where=sa.text(ACCEPTED),
    )


def _create_salesbot_continuations() -> None:
    op.create_table(
        "salesbot_continuations",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("delivery_id", Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "lead_id", name=op.f("pk_salesbot_continuations")),
    )
    op.create_index(op.f("ix_salesbot_continuations_expires_at"), "salesbot_continuations", ["expires_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE salesbot_continuations ENABLE ROW LEVEL SECURITY")


def _create_relay_requests() -> None:
    op.create_table(
        "relay_requests",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("request_id", Uuid(), nullable=False),
        sa.Column("arrival_id", Uuid(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "request_id", name=op.f("pk_relay_requests")),
    )
    op.create_index(op.f("ix_relay_requests_received_at"), "relay_requests", ["received_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE relay_requests ENABLE ROW LEVEL SECURITY")


def _create_monthly_usage() -> None:
    op.create_table(
        "monthly_usage",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("alarmed_percent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "month", name=op.f("pk_monthly_usage")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE monthly_usage ENABLE ROW LEVEL SECURITY")


def upgrade() -> None:
    _change_deliveries()
    _create_monthly_usage()
    _set_once(ONCE)
    # Not in a batch: other tables point at this one, which a copy would break.
    op.add_column("kommo_conversations", sa.Column("kommo_chat_ref_id", sa.Text(), nullable=True))
    op.create_index(CHAT_REF_INDEX, "kommo_conversations", ["account_id", "kommo_chat_ref_id"], unique=True)
    op.add_column("kommo_conversations", sa.Column("person_acted_at", UtcDateTime(), nullable=True))
    _create_salesbot_continuations()
    _create_relay_requests()


def downgrade() -> None:
    op.drop_table("monthly_usage")
    op.drop_table("relay_requests")
    op.drop_table("salesbot_continuations")
    op.drop_index(CHAT_REF_INDEX, table_name="kommo_conversations")
    op.drop_column("kommo_conversations", "person_acted_at")
    op.drop_column("kommo_conversations", "kommo_chat_ref_id")
    for table_name in ("delivery_work", "deliveries"):
        lane = sa.column("lane", sa.Text())
        op.execute(sa.delete(sa.table(table_name, lane)).where(lane.in_(NEW_KINDS) | lane.startswith("alert")))
    _set_once(ONCE_BEFORE)
    op.drop_index(ACCEPTED_INDEX, table_name="deliveries")
    with op.batch_alter_table("deliveries") as table:
        table.drop_constraint(op.f("ck_deliveries_proof_state"), type_="check")
        table.drop_constraint(op.f("ck_deliveries_kind"), type_="check")
        table.create_check_constraint(op.f("ck_deliveries_kind"), _one_of(OLD_KINDS))
        for column in ("proved_at", "proof_reason", "proof_source", "proof_state", "not_before_at"):
            table.drop_column(column)
