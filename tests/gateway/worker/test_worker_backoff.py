"""Pauses: how they grow, where they end, and when kommo-service counts as down."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from gateway.worker.backoff import backoff_seconds, lease_seconds, put_off_seconds
from gateway.worker.circuit import Circuit
from kommomesh_runtime.parsing import from_time

DRAWS = st.floats(0, 1)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@given(st.integers(1, 10_000), DRAWS)
def test_given_any_failures_when_backing_off_then_between_half_and_whole_of_the_range(failures, draw):
    assert 0.1 <= backoff_seconds(failures, draw) <= 5.0


def test_given_more_failures_when_backing_off_then_twice_as_long_up_to_the_most():
    assert [backoff_seconds(n, 1.0, first=1, most=5) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]


@given(st.floats(-1000, 1000), DRAWS, st.none() | st.floats(0, 1000))
def test_given_dependency_down_when_put_off_then_within_limits_and_back_when_the_wait_is_over(waited, draw, asked):
    pause = put_off_seconds(waited, 180, draw, asked)
    assert (pause is None) == (waited >= 180)
    if pause is not None:
        assert 0 < pause <= max(0.5, 180 - max(0, waited))


def test_given_longer_wait_when_put_off_then_longer_pause_and_never_below_what_was_asked():
    pauses = [put_off_seconds(waited, 180, 0.5) for waited in (0, 8, 40, 100)]
    assert pauses == sorted(pauses)
    assert put_off_seconds(0, 180, 0.5, 20.0) == 20.0


@pytest.mark.parametrize(("expires", "seconds"), [(NOON + timedelta(seconds=30), 30), (NOON, 5), (None, 5)])
def test_given_lease_when_asked_then_time_left_but_never_nothing(expires, seconds):
    assert lease_seconds(from_time(expires) or Timestamp(), NOON) == seconds


def test_given_failures_in_a_row_when_recorded_then_open_until_an_answer():
    circuit = Circuit()
    for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        circuit.record(code)
    assert not circuit.is_open
    assert circuit.pause_seconds(1.0) == 0
    circuit.record("UNAVAILABLE")
    assert circuit.is_open
    circuit.record("INTERNAL")
    assert not circuit.is_open


def test_given_open_circuit_when_it_goes_on_then_pauses_grow_from_one_to_ten_seconds():
    circuit = Circuit()
    pauses = []
    for _ in range(10):
        circuit.record("UNAVAILABLE")
        pauses.append(circuit.pause_seconds(0.0))
    assert pauses[2:4] == [1.0, 2.0]
    assert circuit.pause_seconds(1.0) == 10.0
