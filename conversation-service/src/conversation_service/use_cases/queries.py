"""Reading conversations and their messages, page by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import conversations, messages
from conversation_service.adapters.reminders import reminder_times
from conversation_service.adapters.store import Store
from conversation_service.domain.conversation import Conversation, ConversationNotFound, Message
from conversation_service.domain.floor import Status

T = TypeVar("T")

# Time and id of the last row of the page before.
Place = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the place to go on after; None when these were the last."""

    rows: list[T]
    after: Place | None


@dataclass(frozen=True, slots=True)
class Counted:
    """A conversation with what is counted of it.

    Args:
        conversation: the conversation.
        unread_count: client messages that no turn has read.
        reminder_at: when it counts that nobody has come; None while no person is waited for.
    """

    conversation: Conversation
    unread_count: int
    reminder_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueryUseCases:
    """What can be asked of conversations, bound to one store."""

    store: Store

    async def get_conversation(self, conversation_id: UUID) -> Counted:
        """Return the conversation.

        Raises:
            ConversationNotFound: no conversation has the id.
        """

        def find(connection: Connection, _now: datetime) -> Counted:
            found = conversations.find_conversation(connection, conversation_id)
            return _counted(connection, found, str(conversation_id))

        return await self.store.read(find)

    async def get_by_chat(self, account_id: str, chat_id: str) -> Counted:
        """Return the conversation of a chat.

        Raises:
            ConversationNotFound: the chat has none.
        """

        def find(connection: Connection, _now: datetime) -> Counted:
            return _counted(connection, conversations.find_by_chat(connection, account_id, chat_id), chat_id)

        return await self.store.read(find)

    async def count(self, conversation: Conversation) -> Counted:
        """Return a conversation with the number of its unread messages."""
        return await self.store.read(lambda connection, _now: _counted(connection, conversation, ""))

    async def list_conversations(
        self, account_id: str, status: Status | None, size: int, after: Place | None
    ) -> Page[Counted]:
        """Return a page of an account's conversations, the newest message first.

        Args:
            account_id: the account.
            status: only those of this status; None means all.
            size: rows a page.
            after: `after` of the page before; None begins.
        """

        def find(connection: Connection, _now: datetime) -> Page[Counted]:
            rows = conversations.list_conversations(connection, account_id, status, size + 1, after)
            unread = conversations.count_unread(connection, [row.id for row in rows])
            last = rows[size - 1] if len(rows) > size else None
            reminders = reminder_times(connection, rows)
            counted = [Counted(row, unread.get(row.id, 0), reminders.get(row.id)) for row in rows[:size]]
            return Page(counted, (last.last_message_at, last.id) if last else None)

        return await self.store.read(find)

    async def list_messages(self, conversation_id: UUID, size: int, after: Place | None) -> Page[Message]:
        """Return a page of a conversation's messages, the newest first; arguments as `list_conversations`.

        Raises:
            ConversationNotFound: no conversation has the id.
        """

        def find(connection: Connection, _now: datetime) -> Page[Message]:
            if conversations.find_conversation(connection, conversation_id) is None:
                raise ConversationNotFound(conversation_id=str(conversation_id))
            rows = messages.list_messages(connection, conversation_id, size + 1, after)
            last = rows[size - 1] if len(rows) > size else None
            return Page(rows[:size], (last.created_at, last.id) if last else None)

        return await self.store.read(find)


def _counted(connection: Connection, found: Conversation | None, name: str) -> Counted:
    if found is None:
        raise ConversationNotFound(conversation_id=name)
    unread = conversations.count_unread(connection, [found.id]).get(found.id, 0)
    return Counted(found, unread, reminder_times(connection, [found]).get(found.id))
