"""What Kommo reports, and what it does to a conversation."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from conversation_service.domain.channel_message import RelayRequest
from conversation_service.domain.conversation import PERSON_HAS_FLOOR, Conversation, Outcome, Role
from conversation_service.domain.floor import ClientWrote, Floor, PersonWrote, ResumeAfter, TalkClosed, after, new_floor
from conversation_service.domain.handoff import HandoffRules

# Clocks differ a little; beyond that a time of the future is a mistake, which would keep a chat on top for ever.
MAX_AHEAD = timedelta(minutes=5)
TOO_OLD = "too_old"


class IngestOutcome(StrEnum):
    """What became of an item."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    ACCOUNT_UNKNOWN = "account_unknown"
    REPLAYED = "replayed"
    MIRRORED = "mirrored"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of an item: its conversation, or what is wrong with it."""

    outcome: IngestOutcome
    conversation_id: UUID | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message carries."""

    kommo_message_id: str
    text: str = ""
    content_type: str = "text"
    media_url: str = ""
    file_name: str = ""
    file_size: int = 0


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """The client wrote; `is_from_relay` where the account's relay says so and Kommo does not know it yet."""

    content: Content
    is_from_relay: bool = False


@dataclass(frozen=True, slots=True)
class MirroredCopy:
    """Kommo reports a message that the relay brought: it tells of chat, talk, contact and lead, and of nothing else."""


@dataclass(frozen=True, slots=True)
class CompanyMessage:
    """The company wrote: a person of it or a bot; `is_for_relay` where the account's relay has to tell the client."""

    content: Content
    is_person: bool
    author_id: str = ""
    author_name: str = ""
    is_for_relay: bool = False


@dataclass(frozen=True, slots=True)
class TalkEvent:
    """A talk was closed, or is in work."""

    is_closed: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One event of Kommo; unknown texts are empty.

    Args:
        at: when it happened, by Kommo's clock; None means now.
        chat_ref_id: Kommo's id of the chat, of an account with a relay; `chat_id` is the relay's then, or this again.
        request: the relay's request that brought it; None for events of Kommo.
    """

    account_id: str
    chat_id: str
    event: ClientMessage | CompanyMessage | TalkEvent | MirroredCopy
    at: datetime | None = None
    talk_id: str = ""
    contact_id: str = ""
    lead_id: str = ""
    contact_name: str = ""
    origin: str = ""
    channel: str = ""
    phone: str = ""
    chat_ref_id: str = ""
    request: RelayRequest | None = None

    @property
    def content(self) -> Content | None:
        """What was said; None for what brings no message."""
        return None if isinstance(self.event, TalkEvent | MirroredCopy) else self.event.content

    @property
    def is_of_relay(self) -> bool:
        """Whether it belongs to an account with a relay, to which something may follow at once."""
        return self.request is not None or bool(self.chat_ref_id)

    @property
    def is_company_message(self) -> bool:
        """Whether the company wrote it: a person, or a bot of ours or another."""
        return isinstance(self.event, CompanyMessage)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an account wants.

    Args:
        quiet: how long after a message its turn is due.
        quiet_max: how long after the first unread message a turn is due at the latest.
        resume_after: how long a silent person keeps the floor.
        max_message_age: messages written longer ago are not answered; None answers all.
        handoff: how people are asked to look at a file that comes too late for its answer; None asks nobody.
    """

    quiet: timedelta
    quiet_max: timedelta
    resume_after: ResumeAfter
    max_message_age: timedelta | None = None
    handoff: HandoffRules | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to store."""

    id: UUID
    content: Content
    role: Role
    created_at: datetime
    outcome: Outcome | None = None
    outcome_reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    is_from_relay: bool = False


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation while events are taken in.

    Args:
        conversation: as it is after them.
        messages: to be stored, in order.
        hands_over: a person got the floor, so that what was stored and not read yet is theirs.
        is_changed: an event changed something.
        is_new: the conversation is not stored yet.
        first_unread_at: when the first message came that is stored and not read yet; None when there is none.
    """

    conversation: Conversation
    messages: tuple[NewMessage, ...] = ()
    hands_over: bool = False
    is_changed: bool = False
    is_new: bool = False
    first_unread_at: datetime | None = None

    @property
    def has_unread(self) -> bool:
        """Whether a turn has to read one of the new messages."""
        return any(message.role is Role.USER and message.outcome is None for message in self.messages)


def new_chat(conversation_id: UUID, account_id: str, chat_id: str, now: datetime) -> Chat:
    """Return a chat of which nothing is known but its ids."""
    conversation = Conversation(
        id=conversation_id,
        account_id=account_id,
        chat_id=chat_id,
        talk_id="",
        talk_event_at=None,
        contact_id="",
        lead_id="",
        phone="",
        contact_name="",
        contact_email="",
        message_count=0,
        bot_message_count=0,
        user_message_count=0,
        last_message_at=now,
        last_bot_response_at=None,
        channel="",
        origin="",
        tags=(),
        floor=new_floor(now),
        delivery_sequence=0,
        created_at=now,
        updated_at=now,
    )
    return Chat(conversation, is_new=True)


def due_at(now: datetime, first_unread_at: datetime, rules: Rules) -> datetime:
    """Return when the turn of a burst is due: after a quiet moment, but not put off for ever."""
    return min(now + rules.quiet, first_unread_at + rules.quiet_max)


def take_in(chat: Chat, item: Item, message_id: UUID, rules: Rules, now: datetime) -> Chat:
    """Return the chat after a cleaned item that was not stored before.

    Args:
        chat: the chat before it.
        item: the item.
        message_id: id of the message to store, where the item is one.
        rules: of the item's account.
        now: time of its arrival.
    """
    at = now if item.at is None or item.at > now + MAX_AHEAD else item.at
    match item.event:
        case TalkEvent():
            return _take_talk_event(chat, item, item.event, at, now)
        case MirroredCopy():
            return _with_facts(chat, _facts(chat.conversation, item, at, now))
        case ClientMessage():
            return _take_client_message(chat, item, item.event, message_id, at, rules, now)
        case CompanyMessage():
            return _take_company_message(chat, item, item.event, message_id, at, now)


def _facts(known: Conversation, item: Item, at: datetime, now: datetime) -> dict[str, Any]:
    """Return what the item tells of the conversation itself, by the names of its fields."""
    is_newer = bool(item.talk_id) and (known.talk_event_at is None or at >= known.talk_event_at)
    return {
        "talk_id": item.talk_id if is_newer else known.talk_id,
        "talk_event_at": at if is_newer else known.talk_event_at,
        "contact_id": item.contact_id or known.contact_id,
        "lead_id": item.lead_id or known.lead_id,
        "contact_name": item.contact_name or known.contact_name,
        "origin": item.origin or known.origin,
        "channel": item.channel or known.channel,
        "phone": item.phone or known.phone,
        "chat_ref_id": item.chat_ref_id or known.chat_ref_id,
        "updated_at": now,
    }


def _take_talk_event(chat: Chat, item: Item, event: TalkEvent, at: datetime, now: datetime) -> Chat:
    known = chat.conversation
    if known.talk_event_at is not None and at < known.talk_event_at:
        return chat
    floor = after(known.floor, TalkClosed(at), now) if event.is_closed else known.floor
    return _with_facts(chat, {"floor": floor, **_facts(known, item, at, now)})


def _with_facts(chat: Chat, facts: dict[str, Any]) -> Chat:
    known = chat.conversation
    conversation = replace(known, **facts)
    if replace(conversation, updated_at=known.updated_at) == known:
        return chat
    return replace(chat, conversation=conversation, is_changed=True)


def _take_client_message(
    chat: Chat, item: Item, event: ClientMessage, message_id: UUID, at: datetime, rules: Rules, now: datetime
) -> Chat:
    floor = after(chat.conversation.floor, ClientWrote(rules.resume_after), now)
    outcome, reason = None, ""
    if not floor.is_with_bot:
        outcome, reason = Outcome.HANDED_TO_PERSON, PERSON_HAS_FLOOR
    elif rules.max_message_age is not None and now - at > rules.max_message_age:
        outcome, reason = Outcome.NOT_ANSWERED, TOO_OLD
    message = NewMessage(message_id, event.content, Role.USER, at, outcome, reason, is_from_relay=event.is_from_relay)
    return _with_message(chat, message, floor, _facts(chat.conversation, item, at, now))


def _take_company_message(
    chat: Chat, item: Item, event: CompanyMessage, message_id: UUID, at: datetime, now: datetime
) -> Chat:
    author = {"author_id": event.author_id, "author_name": event.author_name}
    metadata = {key: value for key, value in author.items() if value}
    message = NewMessage(
        message_id, event.content, Role.AGENT if event.is_person else Role.ASSISTANT, at, metadata=metadata
    )
    floor = chat.conversation.floor
    if event.is_person:
        floor = after(floor, PersonWrote(at, event.author_name), now)
    changed = _with_message(chat, message, floor, _facts(chat.conversation, item, at, now))
    return _handed_over(changed) if event.is_person and not floor.is_with_bot else changed


def _handed_over(chat: Chat) -> Chat:
    messages = tuple(
        replace(message, outcome=Outcome.HANDED_TO_PERSON, outcome_reason=PERSON_HAS_FLOOR)
        if message.role is Role.USER and message.outcome is None
        else message
        for message in chat.messages
    )
    return replace(chat, messages=messages, hands_over=True, first_unread_at=None)


def _with_message(chat: Chat, message: NewMessage, floor: Floor, facts: dict[str, Any]) -> Chat:
    # One copy for all that a message changes: this runs for every message that is ever stored.
    known = chat.conversation
    is_first = known.message_count == 0
    conversation = replace(
        known,
        floor=floor,
        message_count=known.message_count + 1,
        user_message_count=known.user_message_count + (message.role is Role.USER),
        bot_message_count=known.bot_message_count + (message.role is Role.ASSISTANT),
        last_message_at=message.created_at if is_first else max(known.last_message_at, message.created_at),
        **facts,
    )
    return replace(chat, conversation=conversation, messages=(*chat.messages, message), is_changed=True)
