"""Ids that sort by the time of their making."""

from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.ids import TimeOrderedIds


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=50), st.integers(0, 2**62 - 1))
def test_given_any_clock_when_ids_are_made_then_each_is_greater_and_a_uuid_of_version_7(
    times: list[int], noise: int
) -> None:
    clock = iter(times)
    make = TimeOrderedIds(lambda: next(clock), lambda bits: noise % (1 << bits))
    ids = [make() for _ in times]
    assert ids == sorted(ids)
    assert [str(found) for found in ids] == sorted({str(found) for found in ids})
    assert {found.version for found in ids} == {7}


def test_given_one_millisecond_when_more_ids_are_made_than_it_holds_then_they_still_rise() -> None:
    make = TimeOrderedIds(lambda: 1_700_000_000_000, lambda _bits: 0)
    ids = [make() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert ids[0].int >> 80 == 1_700_000_000_000
