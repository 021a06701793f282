"""Rules of deliveries: whether one may leave now, what a lease records, and what becomes of a report."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from conversation_service.domain.handoff import Details, TaskDetails
from kommomesh_runtime.errors import FailedPrecondition, NotFound

MESSAGE_LANE = "message"
# A person has the floor and the client waits for nothing: late is better than never.
HANDOFF_MAX_AGE = timedelta(hours=24)
LEASE = timedelta(seconds=30)
START_WITHIN = timedelta(seconds=5)
MAX_ATTEMPTS = 12
FLOOR_CHANGED = "floor_changed"
TOO_OLD = "delivery_too_old"
ECHO_WITHIN = timedelta(hours=1)
_SPACES = re.compile(r"\s+")


class DeliveryNotFound(NotFound):
    """No delivery has the id."""

    reason = "DELIVERY_NOT_FOUND"
    text = "delivery {delivery_id} does not exist"


class DeliveryLeaseLost(FailedPrecondition):
    """Another worker holds the delivery now."""

    reason = "DELIVERY_LEASE_LOST"
    text = "delivery {delivery_id} is no longer held"


class DeliveryNotDead(FailedPrecondition):
    """Only a dead letter can be replayed."""

    reason = "DELIVERY_NOT_DEAD"
    text = "delivery {delivery_id} is {state}, not dead"


class PersonHasFloor(FailedPrecondition):
    """A person answers the client; replay with force to send all the same."""

    reason = "PERSON_HAS_FLOOR"
    text = "a person has the floor in the conversation of delivery {delivery_id}"


class DeliveryKind(StrEnum):
    """What a delivery carries."""

    REPLY = "reply"
    NOTICE = "notice"
    NOTE = "note"
    TASK = "task"
    LEAD_UPDATE = "lead_update"
    REMINDER = "reminder"
    COURTESY = "courtesy"
    ALERT = "alert"
    PROOF = "proof"
    RELAY = "relay"
    MIRROR = "mirror"

    @property
    def is_said(self) -> bool:
        """Whether the client reads it as a message of the company that it makes."""
        return self in (DeliveryKind.REPLY, DeliveryKind.NOTICE, DeliveryKind.COURTESY)

    @property
    def is_action(self) -> bool:
        """Whether it is an action of a hand-over, which the client does not see."""
        return self in _ACTIONS

    @property
    def lane(self) -> str:
        """Where it waits its turn: replies and notices behind each other, every other kind by itself."""
        return MESSAGE_LANE if self in (DeliveryKind.REPLY, DeliveryKind.NOTICE) else self.value


_ACTIONS = frozenset(
    {DeliveryKind.NOTE, DeliveryKind.TASK, DeliveryKind.LEAD_UPDATE, DeliveryKind.REMINDER, DeliveryKind.ALERT}
)
# What a hand-over writes beside its notice; it has no object once the bot has the floor again.
HAND_OVER_LANES = sorted({*(kind.lane for kind in _ACTIONS), DeliveryKind.COURTESY.lane})


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"
    DEAD = "dead"


class Verdict(StrEnum):
    """What a lease makes of a delivery that is due."""

    LEAVES = "leaves"
    DROPPED = "dropped"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to send through Kommo."""

    id: UUID
    account_id: str
    conversation_id: UUID
    turn_id: UUID | None
    sequence: int
    kind: DeliveryKind
    state: DeliveryState
    text: str
    floor_number: int
    created_at: datetime
    first_unread_at: datetime
    attempt_count: int = 0
    transport: str = ""
    kommo_message_ids: tuple[str, ...] = ()
    reason: str = ""
    forced: bool = False
    ai_model: str = ""
    tokens_used: int = 0
    products_referenced: tuple[str, ...] = ()
    unclear_since_at: datetime | None = None
    finished_at: datetime | None = None
    details: Details | None = None
    not_before_at: datetime | None = None

    @property
    def lane(self) -> str:
        """Where it waits its turn."""
        return self.kind.lane


@dataclass(frozen=True, slots=True)
class Sent:
    """Kommo has it."""

    transport: str
    kommo_message_ids: tuple[str, ...] = ()
    talk_id: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """It is to be tried again; `retry_after` is seconds, at least."""

    reason: str
    retry_after: float = 0.0
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """There is nothing to do it to."""

    reason: str


Report = Sent | Retry | Failed | Skipped


def verdict(delivery: Delivery, *, holder: str, floor_number: int, now: datetime, max_age: timedelta) -> Verdict:
    """Return what a lease makes of a delivery that is due.

    Args:
        delivery: the conversation's oldest one that is pending.
        holder: who has the floor: `bot`, `person_waiting` or `person`.
        floor_number: the floor's number now.
        now: the time of the lease.
        max_age: how long after its client wrote a message may leave.
    """
    if delivery.kind.is_action:
        return _action_verdict(delivery, holder, now)
    speaker = "bot" if delivery.kind is DeliveryKind.REPLY else "person_waiting"
    if not delivery.forced and (holder != speaker or floor_number != delivery.floor_number):
        return Verdict.DROPPED
    if now - delivery.first_unread_at > max_age:
        return Verdict.TOO_OLD
    return Verdict.LEAVES


def _action_verdict(delivery: Delivery, holder: str, now: datetime) -> Verdict:
    # A person has the floor: that is why there is something to do. Once the bot has it again nobody is needed.
    if holder == "bot" and not delivery.forced:
        return Verdict.DROPPED
    return Verdict.TOO_OLD if now - delivery.first_unread_at > HANDOFF_MAX_AGE else Verdict.LEAVES


def lease_cost(delivery: Delivery) -> int:
    """Return the requests that a lease makes.

    One to send, one to read back after an unclear attempt, and one for a task that has to ask who is responsible.
    """
    is_asking = isinstance(delivery.details, TaskDetails) and delivery.details.responsible_user_id is None
    return 1 + (delivery.unclear_since_at is not None) + is_asking


def unclear_after_retry(delivery: Delivery, lease_began_at: datetime, *, is_unclear: bool) -> datetime | None:
    """Return since when Kommo may have the delivery, after an attempt that is to be repeated; None when it has it not.

    A clear failure says nothing of the attempts before it, whose outcome stays unknown.
    """
    since = delivery.unclear_since_at
    return since if is_unclear or (since is not None and since < lease_began_at) else None


def is_given_up(delivery: Delivery, max_attempts: int = MAX_ATTEMPTS) -> bool:
    """Tell whether a delivery that failed so often is not tried again.

    An action of a hand-over is given up by its age alone: while Kommo is down, it is what will tell a person.
    """
    return not delivery.kind.is_action and delivery.attempt_count >= max_attempts


def may_have_left(delivery: Delivery, now: datetime) -> bool:
    """Tell whether Kommo may have the delivery although nothing says so yet; for one that has ended, not for ever."""
    if delivery.state is DeliveryState.PENDING:
        return delivery.attempt_count > 0
    since = delivery.unclear_since_at
    return delivery.state is not DeliveryState.SENT and since is not None and now - since < ECHO_WITHIN


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts differ in white space at most, which Kommo and the channels change."""
    return _SPACES.sub(" ", one).strip() == _SPACES.sub(" ", other).strip()


def echoed(deliveries: Sequence[Delivery], kommo_message_id: str, text: str, now: datetime) -> Delivery | None:
    """Return the delivery whose echo a company message is that Kommo reports; None when it is none's.

    The id says it for certain. Of equal words the oldest delivery that waits counts, and only then one that has ended.

    Args:
        deliveries: of the conversation, in order.
        kommo_message_id: Kommo's id of the message.
        text: its words.
        now: when it arrived.
    """
    by_id = (delivery for delivery in deliveries if kommo_message_id in delivery.kommo_message_ids)
    alike = [one for one in deliveries if may_have_left(one, now) and same_text(one.text, text)]
    alike.sort(key=lambda delivery: delivery.state is not DeliveryState.PENDING)
    return next(by_id, None) or next(iter(alike), None)


def merge_ids(known: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of both, each once, in the order in which they became known."""
    return tuple(dict.fromkeys((*known, *new)))
