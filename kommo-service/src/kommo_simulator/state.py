"""Everything the simulated account knows, in memory, and the changes that may happen to it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kommo_simulator.bots_at_work import BotsAtWork
from kommo_simulator.model import (
    Attachment,
    Author,
    AuthorType,
    Chat,
    Contact,
    DeliveryStatus,
    Lead,
    Message,
    Note,
    Talk,
    Task,
    User,
    Via,
)
from kommo_simulator.settings import SimulatorSettings

PIPELINE_ID = 7_710_034
NEW_STATUS_ID = 72_880_108
BOT_NAME = "Bot"
_EPOCH = 1_600_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before the account has taken it in; `id` and `created_at` are made up when absent."""

    text: str
    author: Author
    via: Via
    id: str | None = None
    message_type: str = "text"
    created_at: int | None = None
    attachment: Attachment | None = None
    client_msgid: str | None = None
    delivery_status: DeliveryStatus | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class World:
    """One account's contacts, leads, chats, talks and messages."""

    def __init__(self, settings: SimulatorSettings, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.settings = settings
        self.now = now
        self.new_id = new_id
        self.users = _users(settings)
        self.clear()

    def clear(self) -> None:
        """Forget every chat, contact, lead, message, note and task."""
        # Numbers start at the clock, so that a restarted simulator never reuses those a mesh has stored.
        self._numbers: Iterator[int] = count(int(self.now()) - _EPOCH)
        self._sequence = count(1)
        self.contacts: dict[int, Contact] = {}
        self.leads: dict[int, Lead] = {}
        self.chats: dict[str, Chat] = {}
        self.talks: dict[int, Talk] = {}
        self.messages: dict[str, Message] = {}
        self.chat_by_conversation: dict[str, str] = {}
        self.message_by_msgid: dict[str, str] = {}
        self.notes: dict[int, Note] = {}
        self.tasks: dict[int, Task] = {}
        # When somebody of the company last typed in a chat of the own channel, unix seconds.
        self.typed_at: dict[str, int] = {}
        self.bots = BotsAtWork()

    def seconds(self) -> int:
        """Return the time in whole unix seconds."""
        return int(self.now())

    def new_number(self) -> int:
        """Return an integer id that nothing in the account has."""
        taken = (self.contacts, self.leads, self.talks, self.notes, self.tasks)
        return next(number for number in self._numbers if not any(number in table for table in taken))

    def user(self, user_id: int | None) -> User:
        """Return the user with this id, the first user when there is none."""
        return next((user for user in self.users if user.id == user_id), self.users[0])

    def ensure_contact(self, contact_id: int | None, name: str, phone: str = "") -> Contact:
        """Return the contact with this id, made when unknown."""
        wanted = self.new_number() if contact_id is None else contact_id
        if wanted not in self.contacts:
            at = self.seconds()
            self.contacts[wanted] = Contact(wanted, name, at, at, phone, responsible_user_id=self.users[0].id)
        return self.contacts[wanted]

    def add_lead(self, contact: Contact, lead_id: int | None = None) -> Lead:
        """Open a lead for a contact."""
        at = self.seconds()
        lead = Lead(lead_id or self.new_number(), f"Lead #{contact.id}", contact.id, PIPELINE_ID, NEW_STATUS_ID, at, at)
        lead.responsible_user_id = self.users[0].id
        return self.leads.setdefault(lead.id, lead)

    def add_chat(
        self,
        chat_id: str | None,
        contact: Contact,
        origin: str,
        with_lead: bool = True,
        conversation_id: str | None = None,
        lead_id: int | None = None,
    ) -> Chat:
        """Make a chat of a contact on a channel."""
        lead = self.add_lead(contact, lead_id) if with_lead else None
        chat = Chat(
            chat_id or self.new_id(),
            origin,
            contact.id,
            lead.id if lead else None,
            self.new_id(),
            contact.name,
            self.seconds(),
            conversation_id,
        )
        self.chats[chat.id] = chat
        if conversation_id is not None:
            self.chat_by_conversation[conversation_id] = chat.id
        return chat

    def tie(self, chat: Chat, contact_id: int) -> None:
        """Tie a chat, and its lead, to a known contact; the one made for it goes when nothing else needs it."""
        before, chat.contact_id = chat.contact_id, contact_id
        if chat.lead_id is not None:
            self.leads[chat.lead_id].contact_id = contact_id
        needed = {chat.contact_id for chat in self.chats.values()} | {lead.contact_id for lead in self.leads.values()}
        if not chat.message_ids and before not in needed:
            self.contacts.pop(before, None)

    def open_talk(self, chat: Chat, talk_id: int | None = None) -> Talk:
        """Open a talk of a chat."""
        at = self.seconds()
        talk = Talk(self.new_number() if talk_id is None else talk_id, chat.id, at, at)
        self.talks[talk.id] = talk
        chat.talk_ids.append(talk.id)
        return talk

    def current_talk(self, chat: Chat) -> Talk | None:
        """Return the newest talk of a chat while it is in work."""
        talk = self.talks[chat.talk_ids[-1]] if chat.talk_ids else None
        return talk if talk and talk.is_in_work else None

    def add_message(self, chat: Chat, talk: Talk, draft: Draft) -> Message:
        """Take a message into a chat."""
        message = Message(
            draft.id or self.new_id(),
            next(self._sequence),
            chat.id,
            talk.id,
            draft.text,
            draft.message_type,
            self.seconds() if draft.created_at is None else draft.created_at,
            draft.author,
            draft.via,
            draft.attachment,
            draft.delivery_status,
            draft.client_msgid,
            extra=draft.extra,
        )
        self.messages[message.id] = message
        chat.message_ids.append(message.id)
        talk.updated_at, talk.is_read = self.seconds(), message.is_outgoing
        if draft.client_msgid is not None:
            self.message_by_msgid[draft.client_msgid] = message.id
        return message

    def close_talk(self, talk: Talk) -> None:
        """Close a talk; the client's next message opens another one."""
        talk.is_in_work, talk.is_read, talk.updated_at = False, True, self.seconds()

    def bot(self) -> Author:
        """Return the author that automatic messages carry."""
        return Author(AuthorType.BOT, self.settings.bot_id, BOT_NAME)

    def messages_of(self, chat: Chat) -> list[Message]:
        """Return a chat's messages, oldest first."""
        return sorted((self.messages[id_] for id_ in chat.message_ids), key=lambda m: (m.created_at, m.sequence))


def _users(settings: SimulatorSettings) -> tuple[User, ...]:
    digest = hashlib.sha1(settings.amojo_id.encode(), usedforsecurity=False).hexdigest()
    amojo_id = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
    return (User(8_823_401, "Persona del equipo", amojo_id), User(8_823_402, "Segunda persona", None))
