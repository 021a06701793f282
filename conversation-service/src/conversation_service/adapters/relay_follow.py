"""What follows from events of accounts with a relay: the client's words go into Kommo, the company's to the relay."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from conversation_service.adapters import relay_rows
from conversation_service.adapters.keyed_rows import Key
from conversation_service.domain.deliveries import Delivery
from conversation_service.domain.floor import PersonWrote
from conversation_service.domain.ingest import Chat, CompanyMessage
from conversation_service.domain.relaying import mirror_of, relay_of_company

if TYPE_CHECKING:
    from conversation_service.adapters.ingest_rows import Entry


def follow(
    connection: Connection, entries: Sequence["Entry"], chats: Mapping[Key, Chat], echoes: set[Key], now: datetime
) -> None:
    """Write what stored events ask for, each delivery once, whichever of Kommo's reports of a message comes first.

    Args:
        connection: the transaction, which has stored the events and holds the locks of their conversations.
        entries: the events.
        chats: their chats after them.
        echoes: the messages that turned out to be ours.
        now: time of arrival.
    """
    wanted = [entry for entry in entries if _is_for_relay(entry) and entry.message_key not in echoes]
    ours = _said_by_us(connection, wanted)
    by_chat: dict[Key, list[Delivery]] = {}
    for entry in wanted:
        if entry.message_key not in ours:
            _recognize_person(connection, entry, chats[entry.chat_key], now)
            by_chat.setdefault(entry.chat_key, []).append(_relay_of(entry, chats[entry.chat_key], now))
    for key, chat in chats.items():
        deliveries = [*_mirrors_of(chat, now), *by_chat.get(key, ())]
        if deliveries:
            relay_rows.write(connection, chat.conversation, deliveries, now)


def _is_for_relay(entry: "Entry") -> bool:
    event = entry.item.event
    return isinstance(event, CompanyMessage) and event.is_for_relay


def _recognize_person(connection: Connection, entry: "Entry", chat: Chat, now: datetime) -> None:
    """Give the floor to a person whom only the second report of a message names.

    The Chats API names no kind of author, so that somebody who is not listed in the account file counts as a bot first.
    """
    event = entry.item.event
    if isinstance(event, CompanyMessage) and event.is_person:
        wrote = PersonWrote(entry.item.at or now, event.author_name)
        relay_rows.recognize_person(connection, chat.conversation, event.content.kommo_message_id, wrote, now)


def _said_by_us(connection: Connection, entries: Sequence["Entry"]) -> set[Key]:
    ids: dict[str, set[str]] = {}
    for entry in entries:
        if entry.message_key is not None:
            ids.setdefault(entry.message_key[0], set()).add(entry.message_key[1])
    return {
        (account_id, found)
        for account_id, wanted in ids.items()
        for found in relay_rows.said_by_us(connection, account_id, wanted)
    }


def _relay_of(entry: "Entry", chat: Chat, now: datetime) -> Delivery:
    event = entry.item.event
    assert isinstance(event, CompanyMessage)
    return relay_of_company(chat.conversation, event, entry.item.at or now, now)


def _mirrors_of(chat: Chat, now: datetime) -> Iterator[Delivery]:
    for message in chat.messages:
        if message.is_from_relay:
            yield mirror_of(chat.conversation, message.id, message.content, message.created_at, now)
