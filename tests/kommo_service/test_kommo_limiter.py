"""The local limiter: never more than the rate in any second, shares for sends and reads, growing pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kommo_service.domain.limiter import Limiter, Refusal, Use, pause_seconds


def test_given_a_rate_of_seven_when_sends_come_at_once_then_one_place_is_left_for_a_read() -> None:
    limiter = Limiter(7)
    allowed = [limiter.take(Use.SEND, 1, 0.0) == 0 for _ in range(9)]
    assert allowed.count(True) == 6
    assert limiter.take(Use.READ, 1, 0.0) == 0
    assert limiter.take(Use.READ, 1, 0.0) > 0


def test_given_many_reads_when_a_send_comes_then_it_still_finds_room() -> None:
    limiter = Limiter(7)
    allowed = [limiter.take(Use.READ, 1, 0.0) == 0 for _ in range(7)]
    assert allowed.count(True) == 3
    assert limiter.take(Use.SEND, 1, 0.0) == 0


def test_given_a_full_second_when_refused_then_waiting_as_told_is_enough() -> None:
    limiter = Limiter(7)
    while limiter.take(Use.SEND, 1, 0.0) == 0:
        pass
    wait = limiter.take(Use.SEND, 1, 0.4)
    assert wait > 0
    assert limiter.take(Use.SEND, 1, 0.4 + wait + 0.001) == 0


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.5])
def test_given_a_rate_of_about_one_when_asked_steadily_then_sends_and_reads_both_pass(rate: float) -> None:
    limiter = Limiter(rate)
    assert limiter.take(Use.SEND, 1, 0.0) == 0
    assert limiter.take(Use.SEND, 1, 0.3) > 0
    assert limiter.take(Use.READ, 1, 2.2) == 0


def test_given_a_message_of_more_pieces_than_the_rate_when_the_second_is_empty_then_it_passes() -> None:
    limiter = Limiter(2)
    assert limiter.take(Use.SEND, 5, 0.0) == 0
    assert limiter.take(Use.SEND, 1, 0.5) > 0


def test_given_refusals_in_a_row_when_paused_then_each_pause_is_longer_and_success_forgets_them() -> None:
    limiter = Limiter(7)
    first = limiter.pause(Refusal.TOO_MANY, 0.0, 0.0)
    assert limiter.take(Use.SEND, 1, first / 2) > 0
    second = limiter.pause(Refusal.TOO_MANY, first, 0.0)
    assert second > first
    limiter.relax(first + second)
    assert limiter.pause(Refusal.TOO_MANY, first + second, 0.0) == first


def test_given_requests_in_flight_when_all_are_refused_then_the_pause_grows_once() -> None:
    limiter = Limiter(7)
    assert limiter.pause(Refusal.TOO_MANY, 0.0, 0.0) == limiter.pause(Refusal.TOO_MANY, 0.0, 0.0)
    assert limiter.strikes == 1


def test_given_a_ban_when_paused_then_it_is_much_longer_than_after_429() -> None:
    assert pause_seconds(Refusal.BANNED, 0, 0) >= 10 * pause_seconds(Refusal.TOO_MANY, 0, 0)
    assert pause_seconds(Refusal.BANNED, 1000, 0) == 600
    assert pause_seconds(Refusal.TOO_MANY, 0, 0.9) > pause_seconds(Refusal.TOO_MANY, 0, 0.1)


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from(list(Use))), max_size=120),
)
def test_given_any_sequence_when_limited_then_no_second_holds_more_than_the_rate(
    rate: int, asks: list[tuple[float, Use]]
) -> None:
    limiter, now, allowed = Limiter(rate), 0.0, []
    for step, use in asks:
        now += step
        if limiter.take(use, 1, now) == 0:
            allowed.append(now)
    for start in allowed:
        assert sum(start <= at < start + 1.0 for at in allowed) <= rate
