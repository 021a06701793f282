"""Rules of turns: what a worker may decide, and what becomes of its decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from kommomesh_runtime.errors import FailedPrecondition, NotFound

LEASE = timedelta(seconds=40)
MAX_ATTEMPTS = 3
MAX_SUPERSEDED = 2
HISTORY_LIMIT = 40
# What a Salesbot surely takes at once.
MOST_AS_ONE = 1000


class TurnNotFound(NotFound):
    """No turn has the id."""

    reason = "TURN_NOT_FOUND"
    text = "turn {turn_id} does not exist"


class TurnLeaseLost(FailedPrecondition):
    """Another worker holds the conversation, or the turn ended otherwise."""

    reason = "TURN_LEASE_LOST"
    text = "turn {turn_id} is no longer held"


class TurnResult(StrEnum):
    """How a turn came to its end."""

    ANSWERED = "answered"
    ESCALATED = "escalated"
    NOT_ANSWERED = "not_answered"
    SUPERSEDED = "superseded"
    FLOOR_CHANGED = "floor_changed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Answer:
    """The bot answers in one or more bubbles; a person is to look at what the shown messages carry."""

    parts: tuple[str, ...]
    ai_model: str = ""
    tokens_used: int = 0
    products_referenced: tuple[str, ...] = ()
    shown_message_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalate:
    """A person is called; the notice to the client may be empty."""

    reason_code: str
    reason: str = ""
    priority: str = "medium"
    is_failure: bool = False
    notice_parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No reply on purpose."""

    reason_code: str


Decision = Answer | Escalate | NoAnswer


def as_one(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bubbles of an answer as a single one, where that is not too long."""
    text = "\n".join(parts)
    return (text,) if parts and len(text) <= MOST_AS_ONE else parts


@dataclass(frozen=True, slots=True)
class Work:
    """The one row of a conversation that has a turn due or running."""

    conversation_id: UUID
    account_id: str
    due_at: datetime
    first_unread_at: datetime
    last_unread_at: datetime
    turn_id: UUID | None
    leased_until: datetime | None
    attempts: int
    superseded_count: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One lease of a conversation, and how it ended."""

    id: UUID
    account_id: str
    conversation_id: UUID
    worker_id: str
    attempt: int
    floor_number: int
    message_ids: tuple[UUID, ...]
    leased_at: datetime
    result: TurnResult | None = None
    reason_code: str = ""
    reason: str = ""
    completed_at: datetime | None = None


def is_escalate_only(attempt: int) -> bool:
    """Tell whether the messages were leased so often without an outcome that only a person may read them now."""
    return attempt > MAX_ATTEMPTS


def is_superseded(decision: Decision, superseded_count: int, *, has_newer: bool) -> bool:
    """Tell whether newer messages send the decision back; an escalation stands, and so does the third decision."""
    return has_newer and superseded_count < MAX_SUPERSEDED and not isinstance(decision, Escalate)


def result_of(decision: Decision) -> TurnResult:
    """Return the result of a turn whose decision stands."""
    match decision:
        case Answer():
            return TurnResult.ANSWERED
        case Escalate():
            return TurnResult.ESCALATED
        case NoAnswer():
            return TurnResult.NOT_ANSWERED


def reasons_of(decision: Decision) -> tuple[str, str]:
    """Return the code of a decision's reason and the reason for people; both empty for an answer."""
    match decision:
        case Escalate(reason_code=code, reason=reason):
            return code, reason
        case NoAnswer(reason_code=code):
            return code, ""
        case Answer():
            return "", ""


def attempts_after_abandon(attempts: int) -> int:
    """Return the attempts of a turn that was given back, which does not count as one."""
    return max(0, attempts - 1)
