"""Storing a batch of events in a few statements, however many there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from conversation_service.adapters.bulk import bulk_insert, bulk_update
from conversation_service.adapters.conversations import floor_columns, to_conversation
from conversation_service.adapters.keyed_rows import Key, key_parameters, of_keys
from conversation_service.adapters.media_rows import complete_messages
from conversation_service.adapters.messages import hand_unread_to_person
from conversation_service.adapters.relay_chats import with_known_chats
from conversation_service.adapters.relay_follow import follow
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES, TURN_WORK
from conversation_service.adapters.turn_rows import delete_work
from conversation_service.adapters.viewings import show_late_file
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.ingest import (
    Chat,
    IngestOutcome,
    IngestResult,
    Item,
    MirroredCopy,
    NewMessage,
    Rules,
    due_at,
    new_chat,
    take_in,
)

SettleEcho = Callable[[Connection, UUID, str, str, datetime], bool]

# SQLSTATE classes of values that a database does not take: data exceptions and violated constraints.
VALUE_CLASSES = ("22", "23")
MOVE_TURN_UNLESS_LEASED = (
    "ON CONFLICT (conversation_id) DO UPDATE SET last_unread_at = excluded.last_unread_at, "
    "due_at = CASE WHEN turn_work.turn_id IS NULL THEN excluded.due_at ELSE turn_work.due_at END"
)

# In key order, as all take their locks: two batches with the same chats then never wait for each other in turn.
# When the first unread message came is read before the lock is granted, which moves a turn by that wait at most.
LOCKED_CHATS = (
    select(
        CONVERSATIONS,
        select(TURN_WORK.c.first_unread_at)
        .where(TURN_WORK.c.conversation_id == CONVERSATIONS.c.id)
        .scalar_subquery()
        .label("first_unread_at"),
    )
    .order_by(CONVERSATIONS.c.account_id, CONVERSATIONS.c.kommo_chat_id)
    .with_for_update(of=CONVERSATIONS)
)
STORED_MESSAGES = select(MESSAGES.c.account_id, MESSAGES.c.kommo_message_id)


class ConcurrentDuplicate(Exception):
    """Another transaction stored one of the chats or messages meanwhile; the same work then finds it."""


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

    @property
    def adds_something(self) -> bool:
        """Whether a message stored under the same id may lack what this one brings."""
        content = self.item.content
        return content is not None and bool(content.media_url or content.file_name or content.text.strip())


def store_entries(
    connection: Connection, entries: Sequence[Entry], settle_echo: SettleEcho, now: datetime
) -> list[IngestResult]:
    """Store events in their order and return what became of each.

    Args:
        connection: the transaction.
        entries: what to store; at least one.
        settle_echo: tells whether a company's message is one that the mesh sent, and then settles its delivery.
        now: time of arrival.

    Raises:
        ConcurrentDuplicate: run the same work again.
    """
    entries = with_known_chats(connection, entries)
    chats = _chats(connection, entries, now)
    seen = _stored_messages(connection, entries)
    echoes = _settle_echoes(connection, entries, chats, seen, settle_echo, now)
    if echoes:
        # Settling a delivery has counted a message in the rows that were read before.
        chats = _chats(connection, entries, now)
    results = []
    for entry in entries:
        chat = chats[entry.chat_key]
        results.append(_result(chat, entry, chats, seen, echoes, now))
    _save(connection, [chat for chat in chats.values() if chat.is_changed or chat.is_new], now)
    _make_due(connection, chats, entries, now)
    follow(connection, entries, chats, echoes, now)
    return _with_completed(connection, entries, results, now)


def _with_completed(
    connection: Connection, entries: Sequence[Entry], results: Sequence[IngestResult], now: datetime
) -> list[IngestResult]:
    """Return the results; a copy that brings what its stored message lacked is stored too, into that message."""
    copies = {
        key: (result.conversation_id, entry)
        for entry, result in zip(entries, results, strict=True)
        if result.outcome is IngestOutcome.DUPLICATE and result.conversation_id
        if (key := entry.message_key) and entry.adds_something
    }
    gained = complete_messages(connection, {key: (chat, entry.item) for key, (chat, entry) in copies.items()}, now)
    for key, late in gained.items():
        conversation_id, entry = copies[key]
        if late.is_unseen_file and entry.rules.handoff:
            show_late_file(connection, conversation_id, late.message_id, entry.rules.handoff, entry.message_id, now)
    return [
        replace(result, outcome=IngestOutcome.STORED)
        if result.outcome is IngestOutcome.DUPLICATE and entry.message_key in gained
        else result
        for entry, result in zip(entries, results, strict=True)
    ]


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
    if isinstance(entry.item.event, MirroredCopy):
        outcome = IngestOutcome.MIRRORED
    return IngestResult(outcome, chat.conversation.id)


def _chats(connection: Connection, entries: Sequence[Entry], now: datetime) -> dict[Key, Chat]:
    """Return the chats of the entries, in key order; those that are stored are locked."""
    first: dict[Key, Entry] = {}
    for entry in entries:
        first.setdefault(entry.chat_key, entry)
    dialect_name = connection.dialect.name
    query = of_keys(LOCKED_CHATS, CONVERSATIONS, "kommo_chat_id", dialect_name)
    chats = {}
    for row in connection.execute(query, key_parameters(first, dialect_name)).mappings():
        chat = Chat(to_conversation(row), first_unread_at=row["first_unread_at"])
        chats[(chat.conversation.account_id, chat.conversation.chat_id)] = chat
    for key in sorted(first.keys() - chats.keys()):
        chats[key] = new_chat(first[key].conversation_id, *key, now)
    return chats


def _stored_messages(connection: Connection, entries: Sequence[Entry]) -> set[Key]:
    keys = {key for entry in entries if (key := entry.message_key)}
    if not keys:
        return set()
    dialect_name = connection.dialect.name
    query = of_keys(STORED_MESSAGES, MESSAGES, "kommo_message_id", dialect_name)
    return {(row[0], row[1]) for row in connection.execute(query, key_parameters(keys, dialect_name))}


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
        if key is None or content is None or not entry.item.is_company_message or key in seen or key in echoes:
            continue
        chat = chats[entry.chat_key]
        if chat.is_new:
            continue
        if settle_echo(connection, chat.conversation.id, content.kommo_message_id, content.text, now):
            echoes.add(key)
    return echoes


def _save(connection: Connection, chats: Sequence[Chat], now: datetime) -> None:
    handed = [chat.conversation.id for chat in chats if chat.hands_over]
    if handed:
        hand_unread_to_person(connection, handed)
        delete_work(connection, handed)
    new = [_new_conversation_row(chat.conversation) for chat in chats if chat.is_new]
    _insert_all(connection, CONVERSATIONS, new, "ON CONFLICT (account_id, kommo_chat_id) DO NOTHING")
    messages = [_message_row(chat.conversation, message, now) for chat in chats for message in chat.messages]
    _insert_all(connection, MESSAGES, messages, "ON CONFLICT (account_id, kommo_message_id) DO NOTHING")
    known = [_conversation_row(chat.conversation) for chat in chats if not chat.is_new]
    if known:
        bulk_update(connection, CONVERSATIONS, known)


def _insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], suffix: str) -> None:
    if rows and bulk_insert(connection, table, rows, suffix) != len(rows):
        raise ConcurrentDuplicate


def _make_due(connection: Connection, chats: dict[Key, Chat], entries: Sequence[Entry], now: datetime) -> None:
    rules = {entry.chat_key: entry.rules for entry in entries}
    rows = [
        {
            "conversation_id": chat.conversation.id,
            "account_id": chat.conversation.account_id,
            "due_at": due_at(now, chat.first_unread_at or now, rules[key]),
            "first_unread_at": now,
            "last_unread_at": now,
        }
        for key, chat in chats.items()
        if chat.has_unread
    ]
    if rows:
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


def _new_conversation_row(conversation: Conversation) -> dict[str, Any]:
    return {
        **_conversation_row(conversation),
        "account_id": conversation.account_id,
        "kommo_chat_id": conversation.chat_id,
        "created_at": conversation.created_at,
    }


def _conversation_row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "kommo_talk_id": conversation.talk_id or None,
        "talk_event_at": conversation.talk_event_at,
        "kommo_contact_id": conversation.contact_id or None,
        "kommo_lead_id": conversation.lead_id or None,
        "contact_name": conversation.contact_name or None,
        "phone": conversation.phone or None,
        "kommo_chat_ref_id": conversation.chat_ref_id or None,
        "channel": conversation.channel or None,
        "origin": conversation.origin or None,
        "message_count": conversation.message_count,
        "bot_message_count": conversation.bot_message_count,
        "user_message_count": conversation.user_message_count,
        "last_message_at": conversation.last_message_at,
        "updated_at": conversation.updated_at,
        **floor_columns(conversation.floor),
    }
