"""Deliveries that are due later or follow a message, the proof of a message, and ways to answer a Salesbot."""

import sqlalchemy as sa
from alembic import op

from conversation_service.adapters.columns import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CHAT_REF_INDEX = "uq_kommo_conversations_chat_ref"
OLD_KINDS = ("reply", "notice", "note", "task", "lead_update")
# Each of these waits in a lane of its own name.
NEW_KINDS = ("reminder", "courtesy", "alert", "proof", "relay", "mirror")
ONCE_BEFORE = "lane <> 'message'"
ONCE = "lane IN ('note', 'task', 'lead_update', 'reminder', 'courtesy')"
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


def _create_salesbot_continuations() -> None:
    op.create_table(
        "salesbot_continuations",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "lead_id", name=op.f("pk_salesbot_continuations")),
    )
    op.create_index(op.f("ix_salesbot_continuations_expires_at"), "salesbot_continuations", ["expires_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE salesbot_continuations ENABLE ROW LEVEL SECURITY")


def upgrade() -> None:
    _change_deliveries()
    _set_once(ONCE)
    # Not in a batch: other tables point at this one, which a copy would break.
    op.add_column("kommo_conversations", sa.Column("kommo_chat_ref_id", sa.Text(), nullable=True))
    op.create_index(CHAT_REF_INDEX, "kommo_conversations", ["account_id", "kommo_chat_ref_id"], unique=True)
    _create_salesbot_continuations()


def downgrade() -> None:
    op.drop_table("salesbot_continuations")
    op.drop_index(CHAT_REF_INDEX, table_name="kommo_conversations")
    op.drop_column("kommo_conversations", "kommo_chat_ref_id")
    for table_name in ("delivery_work", "deliveries"):
        lane = sa.column("lane", sa.Text())
        op.execute(sa.delete(sa.table(table_name, lane)).where(lane.in_(NEW_KINDS)))
    _set_once(ONCE_BEFORE)
    with op.batch_alter_table("deliveries") as table:
        table.drop_constraint(op.f("ck_deliveries_proof_state"), type_="check")
        table.drop_constraint(op.f("ck_deliveries_kind"), type_="check")
        table.create_check_constraint(op.f("ck_deliveries_kind"), _one_of(OLD_KINDS))
        for column in ("proved_at", "proof_reason", "proof_source", "proof_state", "not_before_at"):
            table.drop_column(column)
