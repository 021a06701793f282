"""Leasing deliveries: the decision whether one leaves, and the record of the attempt before it begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, proof_rows, relay_rows
from conversation_service.adapters.continuation_rows import take_continuation
from conversation_service.adapters.delivery_rows import drop, give_up
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.outbox_rows import LaneKey
from conversation_service.adapters.rate_rows import LimitOf, lock_buckets, save_buckets
from conversation_service.domain.continuations import Continuation
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    LEASE,
    MESSAGE_LANE,
    SAID_LANES,
    START_WITHIN,
    TOO_OLD,
    Delivery,
    DeliveryKind,
    Verdict,
    lease_cost,
    verdict,
)
from conversation_service.domain.proof import DEFAULT_LOOKS, Looks
from conversation_service.domain.rate import RESERVE, has_tokens, ready_at, take

# What is too old in them has reached nobody, and nobody was told.
CALLING_LANES = (MESSAGE_LANE, DeliveryKind.RELAY.lane, DeliveryKind.MIRROR.lane, DeliveryKind.VIEWING.lane)
# Words of the company that wait for what has to be said before them are looked at again so often, for their age.
PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What an account's settings say of its deliveries.

    Args:
        answers_bots: whether messages may answer a Salesbot that waits.
        requests_of: requests that a message takes by the first way that the account tries.
    """

    limit_of: LimitOf
    max_age_of: Callable[[str], timedelta]
    escalator: Escalator
    looks: Looks = DEFAULT_LOOKS
    answers_bots: Callable[[str], bool] = lambda _account_id: False
    requests_of: Callable[[str], int] = lambda _account_id: 1


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that a worker holds, and all that it needs to send it.

    Args:
        unclear_since_at: when the first attempt without a known outcome began, before this one.
        claimed_ids: Kommo's ids that prove other deliveries since then.
        awaited: of a proof, the messages to look for.
        is_last_look: of a proof, whether the look decides what the absence of a message means.
        continuation: the Salesbot that waits for this delivery; None when none does.
    """

    delivery: Delivery
    conversation: Conversation
    lease_id: UUID
    lease_until: datetime
    start_before: datetime
    unclear_since_at: datetime | None
    claimed_ids: tuple[str, ...]
    awaited: tuple[Delivery, ...] = ()
    is_last_look: bool = False
    continuation: Continuation | None = None


@dataclass(frozen=True, slots=True)
class LeaseRound:
    """What one look at due work gave.

    Args:
        leased: what may leave.
        exhausted: accounts without tokens, and when they have some.
        short: accounts whose proofs have to wait, and until when.
        given_up: what had become too old.
    """

    leased: tuple[Leased, ...]
    exhausted: dict[str, datetime]
    short: dict[str, datetime] = field(default_factory=dict)
    given_up: tuple[Delivery, ...] = ()


NOTHING_LEASED = LeaseRound((), {})


def lease_heads(
    connection: Connection,
    conversations: Mapping[UUID, Conversation],
    lanes: Sequence[LaneKey],
    rules: SendingRules,
    new_id: Callable[[], UUID],
    now: datetime,
) -> LeaseRound:
    """Lease the oldest delivery of each lane, where its account has tokens; end those that may not leave.

    Args:
        connection: the transaction, which holds the locks of the conversations and of their work.
        conversations: the conversations by id.
        lanes: the lanes to lease from, the longest due first.
        rules: of the accounts.
        new_id: makes ids of leases.
        now: the time of the transaction.
    """
    if not lanes:
        return NOTHING_LEASED
    given_up: list[Delivery] = []
    heads = _heads(connection, conversations, lanes, rules, now, given_up)
    buckets = lock_buckets(connection, {head.account_id for _, head in heads}, rules.limit_of, now)
    leased: list[Leased] = []
    exhausted: dict[str, datetime] = {}
    short: dict[str, datetime] = {}
    for conversation, head in heads:
        account_id, cost = head.account_id, lease_cost(head, rules.requests_of(head.account_id))
        limit, bucket = rules.limit_of(account_id), buckets[account_id]
        reserve = RESERVE if head.kind is DeliveryKind.PROOF else 0.0
        # Nothing cheap overtakes what waits for a full bucket, which would never be full then. What asks nothing of
        # Kommo waits for no tokens, and not for a debt to be paid either.
        is_next = account_id not in exhausted
        if cost == 0 or (is_next and has_tokens(bucket, limit, cost, reserve)):
            buckets[account_id] = take(bucket, cost)
            leased.append(_leased(connection, conversation, head, rules, new_id(), now))
        else:
            (short if reserve else exhausted).setdefault(account_id, ready_at(bucket, limit, cost + reserve))
    save_buckets(connection, buckets)
    _record(connection, leased)
    return LeaseRound(tuple(leased), exhausted, short, tuple(given_up))


def _heads(
    connection: Connection,
    conversations: Mapping[UUID, Conversation],
    lanes: Sequence[LaneKey],
    rules: SendingRules,
    now: datetime,
    given_up: list[Delivery],
) -> list[tuple[Conversation, Delivery]]:
    pending = outbox_rows.pending_by_lane(connection, lanes)
    said = [conversations[conversation_id] for conversation_id, lane in lanes if lane in SAID_LANES]
    mirroring = relay_rows.waiting_for_mirror(connection, said)
    current = dict(conversations)
    heads: list[Delivery] = []
    # Last what calls a person again when it is too old: for that person what an earlier hand-over left must not leave.
    for key in sorted(lanes, key=lambda key: key[1] in CALLING_LANES):
        conversation, head = _first_that_leaves(connection, current[key[0]], pending.get(key, []), rules, now, given_up)
        current[key[0]] = conversation
        if head is None:
            outbox_rows.delete_work(connection, [key])
        elif head.not_before_at is not None and head.not_before_at > now:
            later = outbox_rows.DeliveryWork(*key, head.account_id, head.not_before_at)
            outbox_rows.save_work(connection, [later])
        elif (head.kind.is_said and key[0] in mirroring) or _is_behind(connection, head):
            # The end of the last mirror makes it due; this look again is for its age.
            later = outbox_rows.DeliveryWork(*key, head.account_id, now + PATIENCE)
            outbox_rows.save_work(connection, [later])
        else:
            heads.append(head)
    # Proofs last: of what is due together, messages and actions come first.
    heads.sort(key=lambda head: (head.kind is DeliveryKind.PROOF, lanes.index((head.conversation_id, head.lane))))
    return [(current[head.conversation_id], head) for head in heads]


def _first_that_leaves(
    connection: Connection,
    conversation: Conversation,
    pending: Sequence[Delivery],
    rules: SendingRules,
    now: datetime,
    given_up: list[Delivery],
) -> tuple[Conversation, Delivery | None]:
    for delivery in pending:
        if _is_look_in_vain(connection, delivery, now):
            proof_rows.end_look(connection, delivery, now, proof_rows.ALREADY_PROVED)
            continue
        match _verdict(conversation, delivery, rules, now):
            case Verdict.LEAVES:
                return conversation, delivery
            case Verdict.DROPPED:
                drop(connection, delivery, now)
            case Verdict.TOO_OLD:
                # The floor is a person's from here on, so that the rest of the conversation is dropped.
                conversation, dead = give_up(connection, conversation, delivery, TOO_OLD, rules.escalator, now)
                given_up.append(dead)
    return conversation, None


def _is_behind(connection: Connection, head: Delivery) -> bool:
    """Tell whether a line that has a lane of its own would overtake what was to be said before it."""
    return head.kind is DeliveryKind.COURTESY and outbox_rows.has_pending(connection, head.conversation_id)


def _is_look_in_vain(connection: Connection, delivery: Delivery, now: datetime) -> bool:
    if delivery.kind is not DeliveryKind.PROOF:
        return False
    return not proof_rows.is_wanted(proof_rows.awaited(connection, delivery.conversation_id, now))


def _verdict(conversation: Conversation, delivery: Delivery, rules: SendingRules, now: datetime) -> Verdict:
    floor = conversation.floor
    max_age = rules.max_age_of(conversation.account_id)
    return verdict(delivery, holder=floor.holder, floor_number=floor.number, now=now, max_age=max_age)


def _leased(
    connection: Connection,
    conversation: Conversation,
    delivery: Delivery,
    rules: SendingRules,
    lease_id: UUID,
    now: datetime,
) -> Leased:
    if delivery.kind is DeliveryKind.PROOF:
        looking = replace(delivery, attempt_count=delivery.attempt_count + 1)
        awaited = proof_rows.awaited(connection, conversation.id, now)
        is_last = proof_rows.is_last_look(awaited, rules.looks, now)
        claimed = outbox_rows.claimed_ids(connection, delivery, proof_rows.claimed_since(awaited, now))
        return Leased(looking, conversation, lease_id, now + LEASE, now + START_WITHIN, None, claimed, awaited, is_last)
    since = delivery.unclear_since_at
    begun = replace(delivery, attempt_count=delivery.attempt_count + 1, unclear_since_at=since or now)
    claimed = () if since is None else outbox_rows.claimed_ids(connection, delivery, since)
    is_for_bot = delivery.kind.is_said and bool(conversation.lead_id) and rules.answers_bots(delivery.account_id)
    continuation = take_continuation(connection, delivery, conversation.lead_id, now) if is_for_bot else None
    times = now + LEASE, now + START_WITHIN
    return Leased(begun, conversation, lease_id, *times, since, claimed, continuation=continuation)


def _record(connection: Connection, leased: Sequence[Leased]) -> None:
    outbox_rows.save_deliveries(connection, [one.delivery for one in leased])
    outbox_rows.save_work(
        connection,
        [
            outbox_rows.DeliveryWork(
                one.conversation.id,
                one.delivery.lane,
                one.conversation.account_id,
                one.lease_until,
                one.delivery.id,
                one.lease_id,
                one.lease_until,
            )
            for one in leased
        ],
    )
