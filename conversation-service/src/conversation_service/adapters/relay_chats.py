"""Chats of accounts with a relay: which conversation is meant by Kommo's id of a chat."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from conversation_service.adapters.keyed_rows import Key, key_parameters, of_keys
from conversation_service.adapters.tables import CONVERSATIONS

if TYPE_CHECKING:
    from conversation_service.adapters.ingest_rows import Entry

C = CONVERSATIONS.c
KNOWN_CHATS = select(C.account_id, C.kommo_chat_ref_id, C.kommo_chat_id)


def with_known_chats(connection: Connection, entries: Sequence["Entry"]) -> Sequence["Entry"]:
    """Return the entries with the relay's id of the chat, where Kommo names it by its own id alone.

    What names both is believed from there on: Kommo's id then leads to that conversation.
    """
    if not any(entry.item.chat_ref_id for entry in entries):
        return entries
    named = {_ref(entry): entry.item.chat_id for entry in entries if entry.item.chat_ref_id and not _is_alone(entry)}
    for (account_id, chat_ref_id), chat_id in sorted(named.items()):
        free_chat_ref(connection, account_id, chat_ref_id, chat_id)
    alone = {_ref(entry) for entry in entries if _is_alone(entry)} - named.keys()
    if alone:
        dialect_name = connection.dialect.name
        query = of_keys(KNOWN_CHATS, CONVERSATIONS, "kommo_chat_ref_id", dialect_name)
        rows = connection.execute(query, key_parameters(alone, dialect_name))
        named |= {(row.account_id, row.kommo_chat_ref_id): row.kommo_chat_id for row in rows}
    return [_named(entry, named[_ref(entry)]) if _ref(entry) in named else entry for entry in entries]


def free_chat_ref(connection: Connection, account_id: str, chat_ref_id: str, chat_id: str) -> None:
    """Take Kommo's id of a chat from any conversation but that of `chat_id`.

    One that Kommo told of before anybody knew the relay's id keeps what it has, under Kommo's id as its chat.
    """
    connection.execute(
        update(CONVERSATIONS)
        .where(C.account_id == account_id, C.kommo_chat_ref_id == chat_ref_id, C.kommo_chat_id != chat_id)
        .values(kommo_chat_ref_id=None)
    )


def _ref(entry: "Entry") -> Key:
    return (entry.item.account_id, entry.item.chat_ref_id)


def _is_alone(entry: "Entry") -> bool:
    return bool(entry.item.chat_ref_id) and entry.item.chat_ref_id == entry.item.chat_id


def _named(entry: "Entry", chat_id: str) -> "Entry":
    return replace(entry, item=replace(entry.item, chat_id=chat_id))
