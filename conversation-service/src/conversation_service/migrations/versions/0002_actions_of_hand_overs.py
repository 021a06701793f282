"""Deliveries that are actions of hand-overs."""

import sqlalchemy as sa
from alembic import op

from conversation_service.adapters.columns import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MESSAGES = "kind IN ('reply', 'notice')"
ALL = "kind IN ('reply', 'notice', 'note', 'task', 'lead_update')"
IS_ACTION = sa.text("lane <> 'message'")


def _allow_kinds(kinds: str) -> None:
    # In a batch, because SQLite changes a constraint by copying the table.
    with op.batch_alter_table("deliveries") as table:
        table.drop_constraint(op.f("ck_deliveries_kind"), type_="check")
        table.create_check_constraint(op.f("ck_deliveries_kind"), kinds)


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("details", Json, nullable=True))
    _allow_kinds(ALL)
    op.create_index(
        "uq_deliveries_action",
        "deliveries",
        ["conversation_id", "lane", "floor_number"],
        unique=True,
        postgresql_where=IS_ACTION,
        sqlite_where=IS_ACTION,
    )


def downgrade() -> None:
    op.drop_index("uq_deliveries_action", table_name="deliveries")
    op.execute("DELETE FROM delivery_work WHERE lane <> 'message'")
    op.execute("DELETE FROM deliveries WHERE lane <> 'message'")
    _allow_kinds(MESSAGES)
    op.drop_column("deliveries", "details")
