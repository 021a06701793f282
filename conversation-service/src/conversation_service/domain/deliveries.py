"""Rules of deliveries: whether one may leave now, what a lease records, and what becomes of a report."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from conversation_service.domain.alerts import HAND_OVER_ALERTS, AlertDetails, AlertKind
from conversation_service.domain.channel_message import ChannelMessage, RelayStatus
from conversation_service.domain.handoff import Details, TaskDetails
from conversation_service.domain.proof import Finding, Proof
from kommomesh_runtime.errors import FailedPrecondition, NotFound

MESSAGE_LANE = "message"
# A person has the floor and the client waits for nothing: late is better than never.
HANDOFF_MAX_AGE = timedelta(hours=24)
LEASE = timedelta(seconds=30)
START_WITHIN = timedelta(seconds=5)
MAX_ATTEMPTS = 12
FLOOR_CHANGED = "floor_changed"
TOO_OLD = "delivery_too_old"


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
    VIEWING = "viewing"

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
    {
        DeliveryKind.NOTE,
        DeliveryKind.TASK,
        DeliveryKind.LEAD_UPDATE,
        DeliveryKind.REMINDER,
        DeliveryKind.ALERT,
        DeliveryKind.VIEWING,
    }
)
# What says to people in Kommo that one is called.
PACKAGE_KINDS = (DeliveryKind.NOTE, DeliveryKind.TASK)
# Actions that go their own way: what a hand-over's end drops are the others.
_OUTSIDE_HAND_OVERS = (DeliveryKind.ALERT, DeliveryKind.VIEWING)
# What a hand-over writes beside its notice; it has no object once the bot has the floor again.
HAND_OVER_LANES = sorted(
    {*(kind.lane for kind in _ACTIONS if kind not in _OUTSIDE_HAND_OVERS), DeliveryKind.COURTESY.lane}
    | {alert.lane for alert in HAND_OVER_ALERTS}
)
# What is written ahead for when nobody comes.
NOBODY_CAME_LANES = (DeliveryKind.REMINDER.lane, DeliveryKind.COURTESY.lane, AlertKind.NOBODY_CAME.lane)
# What the client reads, and what an echo may therefore be of.
SAID_LANES = (MESSAGE_LANE, DeliveryKind.COURTESY.lane)


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
    proof: Proof | None = None

    @property
    def lane(self) -> str:
        """Where it waits its turn."""
        return self.details.kind.lane if isinstance(self.details, AlertDetails) else self.kind.lane

    @property
    def is_answer(self) -> bool:
        """Whether client messages wait for it: a bubble of a reply or of a notice, or its way to the relay."""
        is_relayed_answer = isinstance(self.details, ChannelMessage) and self.details.is_answer
        return self.kind in (DeliveryKind.REPLY, DeliveryKind.NOTICE) or is_relayed_answer

    @property
    def is_silent(self) -> bool:
        """Whether the bot says nothing by it, so that it may leave whoever has the floor."""
        is_of_others = isinstance(self.details, ChannelMessage) and not self.details.speaker
        return self.kind.is_action or is_of_others

    @property
    def is_of_waiting(self) -> bool:
        """Whether it has an object only while the person that it is about has not come."""
        if isinstance(self.details, AlertDetails):
            return self.details.kind.is_of_hand_over
        return self.kind in (DeliveryKind.REMINDER, DeliveryKind.COURTESY)


@dataclass(frozen=True, slots=True)
class Sent:
    """Kommo has it."""

    transport: str
    kommo_message_ids: tuple[str, ...] = ()
    talk_id: str = ""
    relay_status: RelayStatus | None = None
    # Another way took it, because no message of the month is left for the usual one.
    is_quota_used_up: bool = False


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


@dataclass(frozen=True, slots=True)
class Looked:
    """Kommo's record was read; only of a proof."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """The chat of a client's message exists in Kommo now; the message itself is due at once."""

    chat_ref_id: str


Report = Sent | Retry | Failed | Skipped | Looked | Opened


def verdict(delivery: Delivery, *, holder: str, floor_number: int, now: datetime, max_age: timedelta) -> Verdict:
    """Return what a lease makes of a delivery that is due.

    Args:
        delivery: the conversation's oldest one that is pending.
        holder: who has the floor: `bot`, `person_waiting` or `person`.
        floor_number: the floor's number now.
        now: the time of the lease.
        max_age: how long after its client wrote a message may leave.
    """
    if delivery.kind is DeliveryKind.PROOF:
        # A look does no harm, and whoever has the floor, a reply that did not arrive has to be told.
        return Verdict.LEAVES
    if isinstance(delivery.details, ChannelMessage):
        return _channel_verdict(delivery, delivery.details, holder, floor_number, now, max_age)
    if delivery.is_of_waiting:
        return _waiting_verdict(delivery, holder, floor_number, now, max_age)
    if delivery.kind.is_action:
        return _action_verdict(delivery, holder, now)
    speaker = "bot" if delivery.kind is DeliveryKind.REPLY else "person_waiting"
    if not delivery.forced and (holder != speaker or floor_number != delivery.floor_number):
        return Verdict.DROPPED
    if now - delivery.first_unread_at > max_age:
        return Verdict.TOO_OLD
    return Verdict.LEAVES


def _waiting_verdict(delivery: Delivery, holder: str, floor_number: int, now: datetime, max_age: timedelta) -> Verdict:
    # Somebody has come, or nobody is needed any more, or a later call has its own.
    if not delivery.forced and (holder != "person_waiting" or floor_number != delivery.floor_number):
        return Verdict.DROPPED
    most = max_age if delivery.kind.is_said else HANDOFF_MAX_AGE
    return Verdict.TOO_OLD if now - delivery.first_unread_at > most else Verdict.LEAVES


def _channel_verdict(
    delivery: Delivery, message: ChannelMessage, holder: str, floor_number: int, now: datetime, max_age: timedelta
) -> Verdict:
    # Kommo has the bot's words already, but the client does not: a person who came since then speaks alone.
    is_floor_gone = holder != message.speaker or floor_number != delivery.floor_number
    if message.speaker and is_floor_gone and not delivery.forced:
        return Verdict.DROPPED
    most = HANDOFF_MAX_AGE if delivery.kind is DeliveryKind.MIRROR else max_age
    return Verdict.TOO_OLD if now - delivery.first_unread_at > most else Verdict.LEAVES


def _action_verdict(delivery: Delivery, holder: str, now: datetime) -> Verdict:
    # A person has the floor: that is why there is something to do. Once the bot has it again nobody is needed.
    # A viewing was written while the bot had the floor, and whoever has it now, the file is to be seen. What is left of
    # the alerts here is about the account, not about a call.
    if holder == "bot" and not delivery.forced and delivery.kind not in _OUTSIDE_HAND_OVERS:
        return Verdict.DROPPED
    return Verdict.TOO_OLD if now - delivery.first_unread_at > HANDOFF_MAX_AGE else Verdict.LEAVES


def lease_cost(delivery: Delivery, requests_of_message: int = 1) -> int:
    """Return the requests that a lease makes.

    One to send, or as many as a message takes in the account, one to read back after an unclear attempt, and one for a
    task that has to ask who is responsible. An alert asks nothing of Kommo.
    """
    if delivery.kind is DeliveryKind.ALERT:
        return 0
    is_asking = isinstance(delivery.details, TaskDetails) and delivery.details.responsible_user_id is None
    sending = requests_of_message if delivery.kind.is_said else 1
    return sending + (delivery.unclear_since_at is not None) + is_asking


def unclear_after_retry(delivery: Delivery, lease_began_at: datetime, *, is_unclear: bool) -> datetime | None:
    """Return since when Kommo may have the delivery, after an attempt that is to be repeated; None when it has it not.

    A clear failure says nothing of the attempts before it, whose outcome stays unknown.
    """
    since = delivery.unclear_since_at
    return since if is_unclear or (since is not None and since < lease_began_at) else None


def is_given_up(delivery: Delivery, max_attempts: int = MAX_ATTEMPTS) -> bool:
    """Tell whether a delivery that failed so often is not tried again.

    An action of a hand-over is given up by its age alone: while Kommo is down, it is what will tell a person. So is
    what goes between Kommo and a relay, of which either may be down for a while.
    """
    is_by_age = delivery.kind.is_action or isinstance(delivery.details, ChannelMessage)
    return not is_by_age and delivery.attempt_count >= max_attempts


def merge_ids(known: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of both, each once, in the order in which they became known."""
    return tuple(dict.fromkeys((*known, *new)))
