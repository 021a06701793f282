"""The tables of the mesh; the migrations make exactly these."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from conversation_service.adapters.columns import Json, UtcDateTime, Uuid

ONCE_FOR_EACH_CALL = (
    "lane IN ('note', 'task', 'lead_update', 'reminder', 'courtesy', 'alert_nobody_came', 'alert_package_waiting')"
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

CONVERSATIONS = Table(
    "kommo_conversations",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("kommo_chat_id", Text, nullable=False),
    # Kommo's own id of the chat, where `kommo_chat_id` is the id that the account's relay gave it.
    Column("kommo_chat_ref_id", Text),
    Column("kommo_talk_id", Text),
    # By Kommo's clock: of two talks the one with the newer event is current.
    Column("talk_event_at", UtcDateTime()),
    Column("kommo_contact_id", Text),
    Column("kommo_lead_id", Text),
    Column("phone", Text),
    Column("contact_name", Text),
    Column("contact_email", Text),
    Column("status", Text, nullable=False, server_default="active"),
    Column("message_count", Integer, nullable=False, server_default="0"),
    Column("bot_message_count", Integer, nullable=False, server_default="0"),
    Column("user_message_count", Integer, nullable=False, server_default="0"),
    # The time of creation until there is a message, so that lists have one key to sort by.
    Column("last_message_at", UtcDateTime(), nullable=False),
    Column("last_bot_response_at", UtcDateTime()),
    Column("escalated_at", UtcDateTime()),
    Column("resolved_at", UtcDateTime()),
    Column("escalation_reason", Text),
    Column("escalation_priority", Text),
    Column("assigned_to", Text),
    Column("channel", Text),
    Column("origin", Text),
    Column("metadata", Json, nullable=False, server_default=text("'{}'")),
    Column("tags", Json, nullable=False, server_default=text("'[]'")),
    Column("floor_holder", Text, nullable=False, server_default="bot"),
    Column("floor_number", BigInteger, nullable=False, server_default="1"),
    Column("floor_changed_at", UtcDateTime(), nullable=False),
    Column("floor_is_failure", Boolean, nullable=False, server_default=false()),
    Column("person_last_wrote_at", UtcDateTime()),
    # By the clock of whoever said so: a talk that was closed before it is old news.
    Column("person_acted_at", UtcDateTime()),
    Column("released_at", UtcDateTime()),
    Column("episode_started_at", UtcDateTime(), nullable=False),
    Column("delivery_sequence", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("updated_at", UtcDateTime(), nullable=False),
    UniqueConstraint("account_id", "kommo_chat_id"),
    Index("uq_kommo_conversations_chat_ref", "account_id", "kommo_chat_ref_id", unique=True),
    CheckConstraint("status IN ('active', 'escalated', 'resolved', 'closed')", name="status"),
    CheckConstraint("floor_holder IN ('bot', 'person_waiting', 'person')", name="floor_holder"),
    Index(None, "account_id", "last_message_at", "id"),
)

MESSAGES = Table(
    "kommo_messages",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("conversation_id", Uuid(), ForeignKey("kommo_conversations.id"), nullable=False),
    Column("kommo_message_id", Text),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False, server_default=""),
    Column("content_type", Text, nullable=False, server_default="text"),
    Column("media_url", Text),
    Column("file_name", Text),
    Column("intent", Text),
    Column("sentiment", Text),
    Column("confidence_score", Float),
    Column("products_referenced", Json, nullable=False, server_default=text("'[]'")),
    Column("ai_model", Text),
    Column("tokens_used", Integer),
    Column("response_time_ms", Integer),
    Column("metadata", Json, nullable=False, server_default=text("'{}'")),
    Column("outcome", Text),
    Column("outcome_reason", Text),
    Column("turn_id", Uuid()),
    Column("delivery_id", Uuid()),
    # By its sender's clock; `ingested_at` is by ours.
    Column("created_at", UtcDateTime(), nullable=False),
    Column("ingested_at", UtcDateTime(), nullable=False),
    UniqueConstraint("account_id", "kommo_message_id"),
    CheckConstraint("role IN ('user', 'assistant', 'system', 'agent')", name="role"),
    CheckConstraint("outcome IN ('answered', 'handed_to_person', 'not_answered')", name="outcome"),
    Index(None, "conversation_id", "created_at", "id"),
    Index(None, "turn_id"),
    Index(
        "ix_kommo_messages_unread",
        "conversation_id",
        postgresql_where=text("role = 'user' AND outcome IS NULL AND turn_id IS NULL"),
        sqlite_where=text("role = 'user' AND outcome IS NULL AND turn_id IS NULL"),
    ),
)

TURN_WORK = Table(
    "turn_work",
    METADATA,
    Column("conversation_id", Uuid(), ForeignKey("kommo_conversations.id"), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("due_at", UtcDateTime(), nullable=False),
    Column("first_unread_at", UtcDateTime(), nullable=False),
    Column("last_unread_at", UtcDateTime(), nullable=False),
    Column("turn_id", Uuid()),
    Column("leased_until", UtcDateTime()),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("superseded_count", Integer, nullable=False, server_default="0"),
    Column("waiting_since_at", UtcDateTime()),
    Index(None, "due_at"),
)

TURNS = Table(
    "turns",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("conversation_id", Uuid(), ForeignKey("kommo_conversations.id"), nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("result", Text),
    Column("floor_number", BigInteger, nullable=False),
    Column("message_ids", Json, nullable=False, server_default=text("'[]'")),
    Column("analysis", Json),
    Column("generation", Json),
    Column("steps", Json, nullable=False, server_default=text("'[]'")),
    Column("reason_code", Text),
    Column("reason", Text),
    Column("leased_at", UtcDateTime(), nullable=False),
    Column("completed_at", UtcDateTime()),
    Index(None, "conversation_id", "leased_at"),
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("conversation_id", Uuid(), ForeignKey("kommo_conversations.id"), nullable=False),
    Column("turn_id", Uuid()),
    Column("lane", Text, nullable=False, server_default="message"),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("text", Text, nullable=False),
    Column("floor_number", BigInteger, nullable=False),
    Column("attempt_count", Integer, nullable=False, server_default="0"),
    Column("transport", Text),
    Column("kommo_message_ids", Json, nullable=False, server_default=text("'[]'")),
    Column("reason", Text),
    Column("forced", Boolean, nullable=False, server_default=false()),
    Column("ai_model", Text),
    Column("tokens_used", Integer),
    Column("products_referenced", Json, nullable=False, server_default=text("'[]'")),
    Column("first_unread_at", UtcDateTime()),
    Column("unclear_since_at", UtcDateTime()),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("finished_at", UtcDateTime()),
    # What an action of a hand-over needs beside its text.
    Column("details", Json),
    # Not due earlier; empty for what is due at once.
    Column("not_before_at", UtcDateTime()),
    # What is known of a message after Kommo has accepted it; empty until then.
    Column("proof_state", Text),
    Column("proof_source", Text),
    Column("proof_reason", Text),
    Column("proved_at", UtcDateTime()),
    UniqueConstraint("conversation_id", "lane", "sequence"),
    CheckConstraint(
        "kind IN ('reply', 'notice', 'note', 'task', 'lead_update', 'reminder', 'courtesy', 'alert', 'proof', 'relay', "
        "'mirror', 'viewing')",
        name="kind",
    ),
    CheckConstraint("proof_state IN ('accepted', 'delivered', 'read', 'failed')", name="proof_state"),
    CheckConstraint("state IN ('pending', 'sent', 'dropped', 'dead')", name="state"),
    Index(
        "ix_deliveries_pending",
        "conversation_id",
        "lane",
        "sequence",
        postgresql_where=text("state = 'pending'"),
        sqlite_where=text("state = 'pending'"),
    ),
    # Each action once for each time that a person is called.
    Index(
        "uq_deliveries_action",
        "conversation_id",
        "lane",
        "floor_number",
        unique=True,
        postgresql_where=text(ONCE_FOR_EACH_CALL),
        sqlite_where=text(ONCE_FOR_EACH_CALL),
    ),
    # What one look into Kommo's record can prove.
    Index(
        "ix_deliveries_accepted",
        "conversation_id",
        "finished_at",
        postgresql_where=text("proof_state = 'accepted'"),
        sqlite_where=text("proof_state = 'accepted'"),
    ),
    Index(
        "ix_deliveries_dead",
        "account_id",
        "finished_at",
        "id",
        postgresql_where=text("state = 'dead'"),
        sqlite_where=text("state = 'dead'"),
    ),
    Index(None, "turn_id"),
)

DELIVERY_WORK = Table(
    "delivery_work",
    METADATA,
    Column("conversation_id", Uuid(), ForeignKey("kommo_conversations.id"), primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("due_at", UtcDateTime(), nullable=False),
    Column("delivery_id", Uuid()),
    Column("lease_id", Uuid()),
    Column("leased_until", UtcDateTime()),
    Index(None, "due_at", "account_id"),
)

SALESBOT_CONTINUATIONS = Table(
    "salesbot_continuations",
    METADATA,
    Column("account_id", Text, primary_key=True),
    # Kommo runs one bot at a time for a lead, so the newest request is the only one that can be answered.
    Column("lead_id", Text, primary_key=True),
    Column("return_url", Text, nullable=False),
    Column("received_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
    Column("used_at", UtcDateTime()),
    # The one delivery that may answer the bot, as often as it is attempted.
    Column("delivery_id", Uuid()),
    Index(None, "expires_at"),
)

RELAY_REQUESTS = Table(
    "relay_requests",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("request_id", Uuid(), primary_key=True),
    # Its arrival at the gateway, which may repeat the storing of it; another arrival of the request is a replay.
    Column("arrival_id", Uuid(), nullable=False),
    Column("received_at", UtcDateTime(), nullable=False),
    Index(None, "received_at"),
)

MONTHLY_USAGE = Table(
    "monthly_usage",
    METADATA,
    Column("account_id", Text, primary_key=True),
    # Such as `2026-11`.
    Column("month", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    # The highest share of the month's messages that somebody was told of.
    Column("alarmed_percent", Integer, nullable=False),
)

RATE_BUCKETS = Table(
    "rate_buckets",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("refilled_at", UtcDateTime(), nullable=False),
)

REQUEST_IDS = Table(
    "request_ids",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("method", Text, nullable=False),
    Column("conversation_id", Uuid(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Index(None, "created_at"),
)
