"""Rules of deliveries: whether one may leave now, what a lease records, and what becomes of a report."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from kommomesh_runtime.errors import FailedPrecondition, NotFound

LANE = "message"
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


Report = Sent | Retry | Failed


def verdict(delivery: Delivery, *, holder: str, floor_number: int, now: datetime, max_age: timedelta) -> Verdict:
    """Return what a lease makes of a delivery that is due.

    Args:
        delivery: the conversation's oldest one that is pending.
        holder: who has the floor: `bot`, `person_waiting` or `person`.
        floor_number: the floor's number now.
        now: the time of the lease.
        max_age: how long after its client wrote a delivery may leave.
    """
    speaker = "bot" if delivery.kind is DeliveryKind.REPLY else "person_waiting"
    if not delivery.forced and (holder != speaker or floor_number != delivery.floor_number):
        return Verdict.DROPPED
    if now - delivery.first_unread_at > max_age:
        return Verdict.TOO_OLD
    return Verdict.LEAVES


def lease_cost(delivery: Delivery) -> int:
    """Return the requests that a lease makes: one to send, and one to read back after an unclear attempt."""
    return 1 if delivery.unclear_since_at is None else 2


def unclear_after_retry(delivery: Delivery, lease_began_at: datetime, *, is_unclear: bool) -> datetime | None:
    """Return since when Kommo may have the delivery, after an attempt that is to be repeated; None when it has it not.

    A clear failure says nothing of the attempts before it, whose outcome stays unknown.
    """
    since = delivery.unclear_since_at
    return since if is_unclear or (since is not None and since < lease_began_at) else None


def is_given_up(attempt_count: int, max_attempts: int = MAX_ATTEMPTS) -> bool:
    """Tell whether a delivery that failed so often is not tried again."""
    return attempt_count >= max_attempts


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
