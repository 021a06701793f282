"""Who speaks in a conversation: one pure step for each event."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kommomesh_runtime.errors import FailedPrecondition


class Holder(StrEnum):
    """Who speaks for the company."""

    BOT = "bot"
    PERSON_WAITING = "person_waiting"
    PERSON = "person"


class Status(StrEnum):
    """Where a conversation stands; it follows the floor."""

    ACTIVE = "active"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Priority(StrEnum):
    """How soon a person is needed."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ConversationEscalated(FailedPrecondition):
    """A person already has the conversation."""

    reason = "CONVERSATION_ESCALATED"
    text = "conversation {conversation_id} was already handed to a person"


class ConversationNotEscalated(FailedPrecondition):
    """The bot already has the conversation."""

    reason = "CONVERSATION_NOT_ESCALATED"
    text = "conversation {conversation_id} is with the bot already"


class ConversationEnded(FailedPrecondition):
    """The conversation is resolved or closed already."""

    reason = "CONVERSATION_ENDED"
    text = "conversation {conversation_id} has ended already"


@dataclass(frozen=True, slots=True)
class Floor:
    """Who speaks, since when, and what a person has to know of it.

    Args:
        holder: who speaks.
        number: counts the changes of the holder.
        changed_at: when the holder changed last.
        status: where the conversation stands.
        episode_started_at: what was said before is finished.
        is_failure: our own failure, not the client, called the person.
        person_last_wrote_at: when a person's newest message arrived.
        person_acted_at: the newest sign that a person is needed or there, by the clock of whoever told it; a talk that
            was closed before it is old news.
        released_at: the last give-back; what a person wrote before it takes no floor.
        escalated_at: when a person last got the floor.
        resolved_at: when somebody last said that it is done.
        reason: why a person was last called, for people.
        priority: how soon a person is needed.
        assigned_to: the person; empty when nobody is named.
    """

    holder: Holder
    number: int
    changed_at: datetime
    status: Status
    episode_started_at: datetime
    is_failure: bool = False
    person_last_wrote_at: datetime | None = None
    person_acted_at: datetime | None = None
    released_at: datetime | None = None
    escalated_at: datetime | None = None
    resolved_at: datetime | None = None
    reason: str = ""
    priority: Priority | None = None
    assigned_to: str = ""

    @property
    def is_with_bot(self) -> bool:
        """Whether the bot speaks."""
        return self.holder is Holder.BOT

    @property
    def has_ended(self) -> bool:
        """Whether the episode is over until somebody writes again."""
        return self.status in (Status.RESOLVED, Status.CLOSED)


@dataclass(frozen=True, slots=True)
class ResumeAfter:
    """How long a silent person keeps the floor when the client writes.

    Args:
        person: after a person has written, taken over or was called by the client.
        failure: after our own failure called a person who has not written.
    """

    person: timedelta
    failure: timedelta


@dataclass(frozen=True, slots=True)
class ClientWrote:
    """The client wrote."""

    resume_after: ResumeAfter


@dataclass(frozen=True, slots=True)
class PersonWrote:
    """A person of the company wrote in Kommo, at `written_at` by Kommo's clock."""

    written_at: datetime
    name: str = ""


@dataclass(frozen=True, slots=True)
class TalkClosed:
    """Kommo's talk was closed, at `closed_at` by Kommo's clock."""

    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Escalated:
    """A person is called; `reason` is for people, `code` says the same to programs."""

    reason: str = ""
    priority: Priority = Priority.MEDIUM
    is_failure: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A person took the conversation in the console."""

    person: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """A person gave the conversation back to the bot."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A person said that it is done."""


FloorEvent = ClientWrote | PersonWrote | TalkClosed | Escalated | TakenOver | Released | Resolved


def new_floor(now: datetime) -> Floor:
    """Return the floor of a conversation that begins now: the bot has it."""
    return Floor(holder=Holder.BOT, number=1, changed_at=now, status=Status.ACTIVE, episode_started_at=now)


def after(floor: Floor, event: FloorEvent, now: datetime) -> Floor:
    """Return the floor after an event; the same one where the event changes nothing."""
    match event:
        case ClientWrote():
            return _client_wrote(floor, event.resume_after, now)
        case PersonWrote():
            return _person_wrote(floor, event, now)
        case Escalated():
            return _escalated(floor, event, now)
        case TakenOver():
            return _to_person(floor, event.person, now, now)
        case TalkClosed():
            return _talk_closed(floor, min(event.closed_at, now), now)
        case Resolved():
            return replace(_ended(floor, Status.RESOLVED, now, now), resolved_at=now)
        case Released():
            return replace(_ended(floor, Status.ACTIVE, now, now), episode_started_at=_given_back_from(floor, now))


def require(floor: Floor, event: FloorEvent, conversation_id: str) -> None:
    """Return when the event may be asked for now.

    Raises:
        ConversationEscalated: a person is called but has the conversation already.
        ConversationNotEscalated: the bot is to get back what it has.
        ConversationEnded: what has ended is to be resolved.
    """
    if isinstance(event, Escalated) and not floor.is_with_bot:
        raise ConversationEscalated(conversation_id=conversation_id)
    if isinstance(event, Released) and floor.is_with_bot:
        raise ConversationNotEscalated(conversation_id=conversation_id)
    if isinstance(event, Resolved) and floor.has_ended:
        raise ConversationEnded(conversation_id=conversation_id)


def _held_by(floor: Floor, holder: Holder, now: datetime) -> Floor:
    if floor.holder is holder:
        return floor
    return replace(floor, holder=holder, number=floor.number + 1, changed_at=now)


def _client_wrote(floor: Floor, resume_after: ResumeAfter, now: datetime) -> Floor:
    if floor.is_with_bot:
        return replace(floor, status=Status.ACTIVE)
    waits_for_failure = floor.is_failure and floor.holder is Holder.PERSON_WAITING
    silent_since = max(floor.changed_at, floor.person_last_wrote_at or floor.changed_at)
    if now - silent_since < (resume_after.failure if waits_for_failure else resume_after.person):
        return floor
    # Not a new episode: the bot goes on knowing what the person said.
    resumed = _held_by(floor, Holder.BOT, now)
    return replace(resumed, status=Status.ACTIVE, is_failure=False, released_at=now, assigned_to="")


def _person_wrote(floor: Floor, event: PersonWrote, now: datetime) -> Floor:
    # Kommo tells whole seconds: a message of the second of the give-back may be newer than it, and silence is safe.
    if floor.released_at is not None and event.written_at < floor.released_at.replace(microsecond=0):
        return floor
    return replace(_to_person(floor, event.name, min(event.written_at, now), now), person_last_wrote_at=now)


def _to_person(floor: Floor, person: str, acted_at: datetime, now: datetime) -> Floor:
    escalated_at = now if floor.is_with_bot else floor.escalated_at
    return replace(
        _held_by(floor, Holder.PERSON, now),
        status=Status.ESCALATED,
        is_failure=False,
        person_acted_at=_newer(floor.person_acted_at, acted_at),
        escalated_at=escalated_at,
        assigned_to=person or floor.assigned_to,
    )


def _escalated(floor: Floor, event: Escalated, now: datetime) -> Floor:
    if not floor.is_with_bot:
        return floor
    return replace(
        _held_by(floor, Holder.PERSON_WAITING, now),
        status=Status.ESCALATED,
        is_failure=event.is_failure,
        person_acted_at=_newer(floor.person_acted_at, now),
        escalated_at=now,
        reason=event.reason,
        priority=event.priority,
    )


def _talk_closed(floor: Floor, closed_at: datetime, now: datetime) -> Floor:
    # A repeat of the same news, or news from before another give-back: it must not take the floor from a person.
    if floor.released_at is not None and closed_at <= floor.released_at:
        return floor
    # Old news: a person was called or came after it. Of the same second Kommo cannot tell, and closing is the last act.
    acted_at = floor.person_acted_at
    if acted_at is not None and not floor.is_with_bot and closed_at < acted_at.replace(microsecond=0):
        return floor
    return _ended(floor, Status.CLOSED, closed_at, now)


def _given_back_from(floor: Floor, now: datetime) -> datetime:
    """Return where the episode after a give-back begins: with the person's time, whose words the bot has to know."""
    since, wrote_at = floor.escalated_at, floor.person_last_wrote_at
    return since if since is not None and wrote_at is not None and wrote_at >= since else now


def _ended(floor: Floor, status: Status, at: datetime, now: datetime) -> Floor:
    return replace(
        _held_by(floor, Holder.BOT, now),
        status=status,
        is_failure=False,
        released_at=_newer(floor.released_at, at),
        episode_started_at=now,
        assigned_to="",
    )


def _newer(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else max(known, at)
