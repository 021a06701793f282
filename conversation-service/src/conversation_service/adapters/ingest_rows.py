"""Storing a batch of events in a few statements, however many there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Table, delete, select, text, tuple_
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from conversation_service.adapters.bulk import bulk_insert, bulk_update
from conversation_service.adapters.conversations import floor_columns, to_conversation
from conversation_service.adapters.messages import hand_unread_to_person
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES, TURN_WORK
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.floor import new_floor
from conversation_service.domain.ingest import (
    Chat,
    IngestOutcome,
    IngestResult,
    Item,
    NewMessage,
    Rules,
    due_at,
    take_in,
)

Key = tuple[str, str]
SettleEcho = Callable[[Connection, UUID, str, str, datetime], bool]

# SQLSTATE classes of values that a database does not take: data exceptions and violated constraints.
VALUE_CLASSES = ("22", "23")
MOVE_TURN_UNLESS_LEASED = (
    "ON CONFLICT (conversation_id) DO UPDATE SET last_unread_at = excluded.last_unread_at, "
    "due_at = CASE WHEN turn_work.turn_id IS NULL THEN excluded.due_at ELSE turn_work.due_at END"
)


class ConcurrentDuplicate(Exception):
    """Another transaction stored one of the messages meanwhile; the same work then finds it."""


def is_item_fault(error: BaseException) -> bool:
    """Tell whether a value of an item is what failed, so that the item can never be stored.

    Anything else may pass, and an item that is called impossible is never sent again.
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, ValueError)
    state = getattr(error.orig, "sqlstate", None) or ""
    # asyncpg refuses some values itself, as a ValueError that SQLAlchemy wraps.
    was_refused_here = isinstance(error.orig.__cause__ if error.orig else None, ValueError)
    return was_refused_here or state[:2] in VALUE_CLASSES or isinstance(error, (IntegrityError, DataError))


@dataclass(frozen=True, slots=True)
class Entry:
    """A cleaned item with what storing it needs.

    Args:
        item: the item.
        rules: of its account.
        message_id: id of the message, where the item is one.
        conversation_id: id of its conversation, should it be the first of its chat.
    """

    item: Item
    rules: Rules
    message_id: UUID
    conversation_id: UUID

    @property
    def chat_key(self) -> Key:
        """What is unique of its conversation."""
        return (self.item.account_id, self.item.chat_id)

    @property
    def message_key(self) -> Key | None:
        """What is unique of its message; None where it is none."""
        content = self.item.content
        return (self.item.account_id, content.kommo_message_id) if content else None


def store_entries(
    connection: Connection, entries: Sequence[Entry], settle_echo: SettleEcho, now: datetime
) -> list[IngestResult]:
    """Store events in their order and return what became of each.

    Args:
        connection: the transaction.
        entries: what to store; at least one.
        settle_echo: tells whether a bot's message is one that the mesh sent, and then settles its delivery.
        now: time of arrival.

    Raises:
        ConcurrentDuplicate: run the same work again.
    """
    _add_conversations(connection, entries, now)
    chats = _lock_chats(connection, {entry.chat_key for entry in entries})
    seen = _stored_messages(connection, entries)
    echoes = _settle_echoes(connection, entries, chats, seen, settle_echo, now)
    if echoes:
        # Settling a delivery has counted a message in the rows that were read before.
        chats = _lock_chats(connection, set(chats))
    results = []
    for entry in entries:
        chat = chats[entry.chat_key]
        results.append(_result(chat, entry, chats, seen, echoes, now))
    _save(connection, [chat for chat in chats.values() if chat.is_changed], _rules_by_id(entries, chats), now)
    return results


def _result(
    chat: Chat, entry: Entry, chats: dict[Key, Chat], seen: set[Key], echoes: set[Key], now: datetime
) -> IngestResult:
    key = entry.message_key
    if key is not None and key in seen:
        return IngestResult(IngestOutcome.DUPLICATE, chat.conversation.id)
    if key is not None:
        seen.add(key)
        if key in echoes:
            return IngestResult(IngestOutcome.STORED, chat.conversation.id)
    changed = take_in(chat, entry.item, entry.message_id, entry.rules, now)
    chats[entry.chat_key] = changed
    outcome = IngestOutcome.DUPLICATE if changed is chat else IngestOutcome.STORED
    return IngestResult(outcome, chat.conversation.id)


def _add_conversations(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    first: dict[Key, Entry] = {}
    for entry in entries:
        first.setdefault(entry.chat_key, entry)
    rows = [
        {
            "id": entry.conversation_id,
            "account_id": account_id,
            "kommo_chat_id": chat_id,
            "last_message_at": now,
            "created_at": now,
            "updated_at": now,
            **floor_columns(new_floor(now)),
        }
        # In key order, as all take their locks: two batches with the same chats then never wait for each other in turn.
        for (account_id, chat_id), entry in sorted(first.items(), key=lambda pair: pair[0])
    ]
    bulk_insert(connection, CONVERSATIONS, rows, "ON CONFLICT (account_id, kommo_chat_id) DO NOTHING")


def _rows_by_key(
    connection: Connection, table: Table, name: str, keys: set[Key], *, locked: bool = False
) -> Sequence[RowMapping]:
    query = select(table) if locked else select(table.c.account_id, table.c[name])
    query = query.order_by(table.c.account_id, table.c[name])
    parameters: dict[str, Any] = {}
    if connection.dialect.name == "postgresql":
        # One text whatever the number of keys, so that the statement is prepared once.
        arrays = "SELECT * FROM unnest(CAST(:accounts AS text[]), CAST(:names AS text[]))"
        query = query.where(text(f"({table.name}.account_id, {table.name}.{name}) IN ({arrays})"))
        parameters = {"accounts": [key[0] for key in keys], "names": [key[1] for key in keys]}
    else:
        query = query.where(tuple_(table.c.account_id, table.c[name]).in_(list(keys)))
    if locked:
        query = query.with_for_update()
    return connection.execute(query, parameters).mappings().all()


def _lock_chats(connection: Connection, keys: set[Key]) -> dict[Key, Chat]:
    rows = _rows_by_key(connection, CONVERSATIONS, "kommo_chat_id", keys, locked=True)
    return {(row["account_id"], row["kommo_chat_id"]): Chat(to_conversation(row)) for row in rows}


def _stored_messages(connection: Connection, entries: Sequence[Entry]) -> set[Key]:
    keys = {entry.message_key for entry in entries} - {None}
    if not keys:
        return set()
    rows = _rows_by_key(connection, MESSAGES, "kommo_message_id", {key for key in keys if key})
    return {(row["account_id"], row["kommo_message_id"]) for row in rows}


def _settle_echoes(
    connection: Connection,
    entries: Sequence[Entry],
    chats: dict[Key, Chat],
    seen: set[Key],
    settle_echo: SettleEcho,
    now: datetime,
) -> set[Key]:
    echoes: set[Key] = set()
    for entry in entries:
        key, content = entry.message_key, entry.item.content
        if key is None or content is None or not entry.item.is_bot_message or key in seen or key in echoes:
            continue
        conversation_id = chats[entry.chat_key].conversation.id
        if settle_echo(connection, conversation_id, content.kommo_message_id, content.text, now):
            echoes.add(key)
    return echoes


def _rules_by_id(entries: Sequence[Entry], chats: dict[Key, Chat]) -> dict[UUID, Rules]:
    return {chats[entry.chat_key].conversation.id: entry.rules for entry in entries}


def _save(connection: Connection, chats: Sequence[Chat], rules: dict[UUID, Rules], now: datetime) -> None:
    handed = [chat.conversation.id for chat in chats if chat.hands_over]
    if handed:
        hand_unread_to_person(connection, handed)
        connection.execute(delete(TURN_WORK).where(TURN_WORK.c.conversation_id.in_(handed)))
    messages = [_message_row(chat.conversation, message, now) for chat in chats for message in chat.messages]
    if messages:
        suffix = "ON CONFLICT (account_id, kommo_message_id) DO NOTHING"
        if bulk_insert(connection, MESSAGES, messages, suffix) != len(messages):
            raise ConcurrentDuplicate
    if chats:
        bulk_update(connection, CONVERSATIONS, [_conversation_row(chat.conversation) for chat in chats])
    _make_due(connection, [chat.conversation for chat in chats if chat.has_unread], rules, now)


def _make_due(
    connection: Connection, conversations: Sequence[Conversation], rules: dict[UUID, Rules], now: datetime
) -> None:
    if not conversations:
        return
    ids = [conversation.id for conversation in conversations]
    query = select(TURN_WORK.c.conversation_id, TURN_WORK.c.first_unread_at).where(TURN_WORK.c.conversation_id.in_(ids))
    first_unread = dict(connection.execute(query).all())
    rows = [
        {
            "conversation_id": conversation.id,
            "account_id": conversation.account_id,
            "due_at": due_at(now, first_unread.get(conversation.id, now), rules[conversation.id]),
            "first_unread_at": now,
            "last_unread_at": now,
        }
        for conversation in conversations
    ]
    bulk_insert(connection, TURN_WORK, rows, MOVE_TURN_UNLESS_LEASED)


def _message_row(conversation: Conversation, message: NewMessage, now: datetime) -> dict[str, Any]:
    return {
        "id": message.id,
        "account_id": conversation.account_id,
        "conversation_id": conversation.id,
        "kommo_message_id": message.content.kommo_message_id,
        "role": message.role.value,
        "content": message.content.text,
        "content_type": message.content.content_type,
        "media_url": message.content.media_url or None,
        "file_name": message.content.file_name or None,
        "metadata": message.metadata,
        "outcome": message.outcome.value if message.outcome else None,
        "outcome_reason": message.outcome_reason or None,
        "created_at": message.created_at,
        "ingested_at": now,
    }


def _conversation_row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "kommo_talk_id": conversation.talk_id or None,
        "talk_event_at": conversation.talk_event_at,
        "kommo_contact_id": conversation.contact_id or None,
        "kommo_lead_id": conversation.lead_id or None,
        "contact_name": conversation.contact_name or None,
        "channel": conversation.channel or None,
        "origin": conversation.origin or None,
        "message_count": conversation.message_count,
        "bot_message_count": conversation.bot_message_count,
        "user_message_count": conversation.user_message_count,
        "last_message_at": conversation.last_message_at,
        "updated_at": conversation.updated_at,
        **floor_columns(conversation.floor),
    }
