"""The first schema."""

import sqlalchemy as sa
from alembic import op

from conversation_service.adapters.columns import Json, UtcDateTime, Uuid

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "kommo_conversations",
    "rate_buckets",
    "request_ids",
    "deliveries",
    "delivery_work",
    "kommo_messages",
    "turn_work",
    "turns",
)


# Over fifty lines: one call that lists the columns of a table.
def _create_kommo_conversations() -> None:
    op.create_table(
        "kommo_conversations",
        sa.Column("id", Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kommo_chat_id", sa.Text(), nullable=False),
        sa.Column("kommo_talk_id", sa.Text(), nullable=True),
        sa.Column("talk_event_at", UtcDateTime(), nullable=True),
        sa.Column("kommo_contact_id", sa.Text(), nullable=True),
        sa.Column("kommo_lead_id", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("contact_name", sa.Text(), nullable=True),
        sa.Column("contact_email", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bot_message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("user_message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_message_at", UtcDateTime(), nullable=False),
        sa.Column("last_bot_response_at", UtcDateTime(), nullable=True),
        sa.Column("escalated_at", UtcDateTime(), nullable=True),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("escalation_reason", sa.Text(), nullable=True),
        sa.Column("escalation_priority", sa.Text(), nullable=True),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("metadata", Json, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("tags", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("floor_holder", sa.Text(), server_default="bot", nullable=False),
        sa.Column("floor_number", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("floor_changed_at", UtcDateTime(), nullable=False),
        sa.Column("floor_is_failure", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("person_last_wrote_at", UtcDateTime(), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("episode_started_at", UtcDateTime(), nullable=False),
        sa.Column("delivery_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "floor_holder IN ('bot', 'person_waiting', 'person')", name=op.f("ck_kommo_conversations_floor_holder")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'escalated', 'resolved', 'closed')", name=op.f("ck_kommo_conversations_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kommo_conversations")),
        sa.UniqueConstraint(
            "account_id", "kommo_chat_id", name=op.f("uq_kommo_conversations_account_id_kommo_chat_id")
        ),
    )
    op.create_index(
        op.f("ix_kommo_conversations_account_id_last_message_at_id"),
        "kommo_conversations",
        ["account_id", "last_message_at", "id"],
        unique=False,
    )


def _create_rate_buckets() -> None:
    op.create_table(
        "rate_buckets",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("refilled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_rate_buckets")),
    )


def _create_request_ids() -> None:
    op.create_table(
        "request_ids",
        sa.Column("id", Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_ids")),
    )
    op.create_index(op.f("ix_request_ids_created_at"), "request_ids", ["created_at"], unique=False)


# Over fifty lines: one call that lists the columns of a table.
def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("turn_id", Uuid(), nullable=True),
        sa.Column("lane", sa.Text(), server_default="message", nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("floor_number", sa.BigInteger(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("transport", sa.Text(), nullable=True),
        sa.Column("kommo_message_ids", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("forced", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("ai_model", sa.Text(), nullable=True),
        sa.Column("tokens_used", sa.Integer(), nullable=True),
        sa.Column("products_referenced", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("first_unread_at", UtcDateTime(), nullable=True),
        sa.Column("unclear_since_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('reply', 'notice')", name=op.f("ck_deliveries_kind")),
        sa.CheckConstraint("state IN ('pending', 'sent', 'dropped', 'dead')", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["kommo_conversations.id"], name=op.f("fk_deliveries_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "conversation_id", "lane", "sequence", name=op.f("uq_deliveries_conversation_id_lane_sequence")
        ),
    )
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["account_id", "finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'dead'"),
        sqlite_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["conversation_id", "lane", "sequence"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_deliveries_turn_id"), "deliveries", ["turn_id"], unique=False)


def _create_delivery_work() -> None:
    op.create_table(
        "delivery_work",
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("delivery_id", Uuid(), nullable=True),
        sa.Column("lease_id", Uuid(), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["kommo_conversations.id"], name=op.f("fk_delivery_work_conversation_id")
        ),
        sa.PrimaryKeyConstraint("conversation_id", "lane", name=op.f("pk_delivery_work")),
    )
    op.create_index(op.f("ix_delivery_work_due_at_account_id"), "delivery_work", ["due_at", "account_id"], unique=False)


# Over fifty lines: one call that lists the columns of a table.
def _create_kommo_messages() -> None:
    op.create_table(
        "kommo_messages",
        sa.Column("id", Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("kommo_message_id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.Column("content_type", sa.Text(), server_default="text", nullable=False),
        sa.Column("media_url", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("sentiment", sa.Text(), nullable=True),
        sa.Column("confidence_score", sa.Float(), nullable=True),
        sa.Column("products_referenced", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("ai_model", sa.Text(), nullable=True),
        sa.Column("tokens_used", sa.Integer(), nullable=True),
        sa.Column("response_time_ms", sa.Integer(), nullable=True),
        sa.Column("metadata", Json, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("outcome_reason", sa.Text(), nullable=True),
        sa.Column("turn_id", Uuid(), nullable=True),
        sa.Column("delivery_id", Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ingested_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('answered', 'handed_to_person', 'not_answered')", name=op.f("ck_kommo_messages_outcome")
        ),
        sa.CheckConstraint("role IN ('user', 'assistant', 'system', 'agent')", name=op.f("ck_kommo_messages_role")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["kommo_conversations.id"], name=op.f("fk_kommo_messages_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kommo_messages")),
        sa.UniqueConstraint(
            "account_id", "kommo_message_id", name=op.f("uq_kommo_messages_account_id_kommo_message_id")
        ),
    )
    op.create_index(
        op.f("ix_kommo_messages_conversation_id_created_at_id"),
        "kommo_messages",
        ["conversation_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_kommo_messages_turn_id"), "kommo_messages", ["turn_id"], unique=False)
    op.create_index(
        "ix_kommo_messages_unread",
        "kommo_messages",
        ["conversation_id"],
        unique=False,
        postgresql_where=sa.text("role = 'user' AND outcome IS NULL AND turn_id IS NULL"),
        sqlite_where=sa.text("role = 'user' AND outcome IS NULL AND turn_id IS NULL"),
    )


def _create_turn_work() -> None:
    op.create_table(
        "turn_work",
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("first_unread_at", UtcDateTime(), nullable=False),
        sa.Column("last_unread_at", UtcDateTime(), nullable=False),
        sa.Column("turn_id", Uuid(), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("superseded_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waiting_since_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["kommo_conversations.id"], name=op.f("fk_turn_work_conversation_id")
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_turn_work")),
    )
    op.create_index(op.f("ix_turn_work_due_at"), "turn_work", ["due_at"], unique=False)


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("id", Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", Uuid(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("floor_number", sa.BigInteger(), nullable=False),
        sa.Column("message_ids", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("analysis", Json, nullable=True),
        sa.Column("generation", Json, nullable=True),
        sa.Column("steps", Json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("leased_at", UtcDateTime(), nullable=False),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["kommo_conversations.id"], name=op.f("fk_turns_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
    )
    op.create_index(op.f("ix_turns_conversation_id_leased_at"), "turns", ["conversation_id", "leased_at"], unique=False)


def _protect_rows() -> None:
    # Without a policy nobody but the owner sees a row, whatever has been granted.
    for table in (*TABLES, "alembic_version"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def upgrade() -> None:
    _create_kommo_conversations()
    _create_rate_buckets()
    _create_request_ids()
    _create_deliveries()
    _create_delivery_work()
    _create_kommo_messages()
    _create_turn_work()
    _create_turns()
    if op.get_bind().dialect.name == "postgresql":
        _protect_rows()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
