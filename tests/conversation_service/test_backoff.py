"""How long a failed delivery waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.backoff import MAXIMUM_SECONDS, backoff_seconds

JITTER = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 1.0, 2.0), (4, 0.5, 6.0), (7, 1.0, 60.0), (500, 1.0, 60.0), (500, 0.0, 30.0)],
)
def test_given_attempts_when_backing_off_then_the_delay_doubles_up_to_a_minute(attempt, jitter, expected):
    assert backoff_seconds(attempt, jitter) == pytest.approx(expected)


@given(attempt=st.integers(1, 1000), jitter=JITTER, at_least=st.floats(min_value=0, max_value=3600))
def test_given_any_attempt_when_backing_off_then_what_was_asked_for_is_kept(attempt, jitter, at_least):
    delay = backoff_seconds(attempt, jitter, at_least=at_least)
    assert at_least <= delay <= max(MAXIMUM_SECONDS, at_least + 1)


@given(attempt=st.integers(1, 50), jitter=JITTER)
def test_given_equal_jitter_when_tried_again_then_the_delay_never_shrinks(attempt, jitter):
    assert backoff_seconds(attempt + 1, jitter) >= backoff_seconds(attempt, jitter)
