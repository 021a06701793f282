"""Leasing deliveries: the decision whether one leaves, and the record of the attempt before it begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows
from conversation_service.adapters.delivery_rows import drop, give_up
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.outbox_rows import LaneKey
from conversation_service.adapters.rate_rows import LimitOf, lock_buckets, save_buckets
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    LEASE,
    MESSAGE_LANE,
    START_WITHIN,
    TOO_OLD,
    Delivery,
    Verdict,
    lease_cost,
    verdict,
)
from conversation_service.domain.rate import has_tokens, ready_at, take


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What an account's settings say of its deliveries."""

    limit_of: LimitOf
    max_age_of: Callable[[str], timedelta]
    escalator: Escalator


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that a worker holds, and all that it needs to send it.

    Args:
        unclear_since_at: when the first attempt without a known outcome began, before this one.
        claimed_ids: Kommo's ids that prove other deliveries since then.
    """

    delivery: Delivery
    conversation: Conversation
    lease_id: UUID
    lease_until: datetime
    start_before: datetime
    unclear_since_at: datetime | None
    claimed_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeaseRound:
    """What one look at due work gave; `ready_at` by account says when those without tokens have some."""

    leased: tuple[Leased, ...]
    exhausted: dict[str, datetime]


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
        return LeaseRound((), {})
    heads = _heads(connection, conversations, lanes, rules, now)
    buckets = lock_buckets(connection, {head.account_id for _, head in heads}, rules.limit_of, now)
    leased: list[Leased] = []
    exhausted: dict[str, datetime] = {}
    for conversation, head in heads:
        account_id, cost = head.account_id, lease_cost(head)
        limit, bucket = rules.limit_of(account_id), buckets[account_id]
        if has_tokens(bucket, limit, cost):
            buckets[account_id] = take(bucket, cost)
            leased.append(_leased(connection, conversation, head, new_id(), now))
        else:
            exhausted.setdefault(account_id, ready_at(bucket, limit, cost))
    save_buckets(connection, buckets)
    _record(connection, leased)
    return LeaseRound(tuple(leased), exhausted)


def _heads(
    connection: Connection,
    conversations: Mapping[UUID, Conversation],
    lanes: Sequence[LaneKey],
    rules: SendingRules,
    now: datetime,
) -> list[tuple[Conversation, Delivery]]:
    pending = outbox_rows.pending_by_lane(connection, lanes)
    current = dict(conversations)
    heads: list[Delivery] = []
    # Messages last: one that is too old calls a person again, for whom what an earlier hand-over left must not leave.
    for key in sorted(lanes, key=lambda key: key[1] == MESSAGE_LANE):
        conversation, head = _first_that_leaves(connection, current[key[0]], pending.get(key, []), rules, now)
        current[key[0]] = conversation
        if head is None:
            outbox_rows.delete_work(connection, [key])
        elif head.not_before_at is not None and head.not_before_at > now:
            later = outbox_rows.DeliveryWork(*key, head.account_id, head.not_before_at)
            outbox_rows.save_work(connection, [later])
        else:
            heads.append(head)
    heads.sort(key=lambda head: lanes.index((head.conversation_id, head.lane)))
    return [(current[head.conversation_id], head) for head in heads]


def _first_that_leaves(
    connection: Connection, conversation: Conversation, pending: Sequence[Delivery], rules: SendingRules, now: datetime
) -> tuple[Conversation, Delivery | None]:
    for delivery in pending:
        match _verdict(conversation, delivery, rules, now):
            case Verdict.LEAVES:
                return conversation, delivery
            case Verdict.DROPPED:
                drop(connection, delivery, now)
            case Verdict.TOO_OLD:
                # The floor is a person's from here on, so that the rest of the conversation is dropped.
                conversation, _ = give_up(connection, conversation, delivery, TOO_OLD, rules.escalator, now)
    return conversation, None


def _verdict(conversation: Conversation, delivery: Delivery, rules: SendingRules, now: datetime) -> Verdict:
    floor = conversation.floor
    max_age = rules.max_age_of(conversation.account_id)
    return verdict(delivery, holder=floor.holder, floor_number=floor.number, now=now, max_age=max_age)


def _leased(
    connection: Connection, conversation: Conversation, delivery: Delivery, lease_id: UUID, now: datetime
) -> Leased:
    since = delivery.unclear_since_at
    begun = replace(delivery, attempt_count=delivery.attempt_count + 1, unclear_since_at=since or now)
    claimed = () if since is None else outbox_rows.claimed_ids(connection, delivery, since)
    return Leased(begun, conversation, lease_id, now + LEASE, now + START_WITHIN, since, claimed)


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
