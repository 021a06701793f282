"""The token bucket of an account."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.rate import Bucket, Limit, full, has_tokens, ready_at, refill, take

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RATES = st.integers(1, 50)
GAPS = st.lists(st.floats(min_value=0, max_value=0.4), min_size=1, max_size=200)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@given(rate=RATES, gaps=GAPS)
def test_given_greedy_takers_when_any_second_is_looked_at_then_it_stays_within_the_rate(rate, gaps):
    limit = Limit.of(rate)
    bucket, at, taken = full(limit, NOON), 0.0, []
    for gap in gaps:
        at += gap
        bucket = refill(bucket, limit, after(at))
        while has_tokens(bucket, limit):
            bucket = take(bucket)
            taken.append(at)
    # Just under a second, for the microseconds that a timestamp rounds away.
    assert all(sum(start <= other < start + 0.999 for other in taken) <= rate for start in taken)


@given(rate=st.floats(min_value=0.1, max_value=1000))
def test_given_any_rate_when_the_limit_is_made_then_half_of_the_rate_flows_at_least(rate):
    limit = Limit.of(rate)
    assert limit.capacity >= 1
    assert limit.refill_per_second >= rate / 2


@given(rate=RATES, cost=st.integers(1, 3), tokens=st.floats(min_value=-2, max_value=0.5))
def test_given_too_few_tokens_when_waited_until_ready_then_the_lease_may_leave(rate, cost, tokens):
    limit = Limit.of(rate)
    bucket = Bucket(tokens, NOON)
    then = ready_at(bucket, limit, cost) + timedelta(microseconds=2)
    assert has_tokens(refill(bucket, limit, then), limit, cost)
    assert not has_tokens(bucket, limit, cost)


def test_given_a_cost_that_never_fits_when_the_bucket_is_full_then_it_leaves_into_debt():
    limit = Limit.of(1)
    bucket = full(limit, NOON)
    assert has_tokens(bucket, limit, 2)
    assert take(bucket, 2).tokens < 0


def test_given_a_clock_that_went_back_when_refilled_then_nothing_is_added_or_lost():
    bucket = Bucket(0.5, NOON)
    assert refill(bucket, Limit.of(7), after(-5)) == bucket


@pytest.mark.parametrize("seconds", [1, 60, 86_400])
def test_given_a_quiet_account_when_refilled_then_the_bucket_never_overflows(seconds):
    limit = Limit.of(7)
    assert refill(Bucket(0, NOON), limit, after(seconds)).tokens <= limit.capacity
