"""Runs migrations on the connection that `conversation_service.migrate` gives."""

from alembic import context

from conversation_service.adapters.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
