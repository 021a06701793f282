"""How fast an account's deliveries are handed out: a token bucket that keeps every second within the limit."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Left in the bucket by what can wait, so that a message always finds it.
RESERVE = 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What a bucket holds at most and how fast it fills, in tokens and tokens a second."""

    capacity: float
    refill_per_second: float

    @classmethod
    def of(cls, requests_per_second: float) -> "Limit":
        """Return the limit that lets no second, wherever it begins, see more than the account's requests.

        A burst and the refill of one second add up to just under the next whole request, which therefore never fits in.
        """
        capacity = max(1.0, min(2.0, requests_per_second / 2), requests_per_second / 4)
        return cls(capacity, max(requests_per_second / 2, int(requests_per_second) + 0.9 - capacity))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens of one account at a time; below zero where a lease took more than there were."""

    tokens: float
    refilled_at: datetime


def full(limit: Limit, now: datetime) -> Bucket:
    """Return the bucket of an account that has sent nothing lately."""
    return Bucket(limit.capacity, now)


def refill(bucket: Bucket, limit: Limit, now: datetime) -> Bucket:
    """Return the bucket as it stands now; a clock that went back adds nothing."""
    elapsed = max(0.0, (now - bucket.refilled_at).total_seconds())
    tokens = min(limit.capacity, bucket.tokens + elapsed * limit.refill_per_second)
    return Bucket(tokens, max(now, bucket.refilled_at))


def has_tokens(bucket: Bucket, limit: Limit, cost: float = 1.0, reserve: float = 0.0) -> bool:
    """Tell whether a lease of `cost` requests may leave; what never fits leaves from a full bucket, into debt.

    Args:
        bucket: the account's bucket.
        limit: the account's limit.
        cost: the requests that the lease makes.
        reserve: tokens that have to be left after it.
    """
    return bucket.tokens >= min(cost + reserve, limit.capacity)


def take(bucket: Bucket, cost: float = 1.0) -> Bucket:
    """Return the bucket after a lease of `cost` requests."""
    return replace(bucket, tokens=bucket.tokens - cost)


def ready_at(bucket: Bucket, limit: Limit, cost: float = 1.0) -> datetime:
    """Return when the bucket has the tokens for a lease of `cost` requests, if nothing else takes them."""
    missing = max(0.0, min(cost, limit.capacity) - bucket.tokens)
    return bucket.refilled_at + timedelta(seconds=missing / limit.refill_per_second)
