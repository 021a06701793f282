"""Reports of our own messages that were known before: signs that their threads have them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from conversation_service.adapters.delivery_rows import note_late_echo
from conversation_service.adapters.ingest_rows import Entry
from conversation_service.adapters.keyed_rows import key_parameters, of_keys
from conversation_service.adapters.tables import MESSAGES

SENT_BEFORE = select(MESSAGES.c.delivery_id).where(MESSAGES.c.delivery_id.is_not(None))


def note_echoes(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    """Note which of the messages that Kommo reports are ours; their conversations are locked by storing the entries."""
    keys = {key for entry in entries if entry.item.is_company_message and (key := entry.message_key)}
    if not keys:
        return
    dialect_name = connection.dialect.name
    query = of_keys(SENT_BEFORE, MESSAGES, "kommo_message_id", dialect_name)
    for delivery_id in connection.scalars(query, key_parameters(keys, dialect_name)).all():
        note_late_echo(connection, delivery_id, now)
