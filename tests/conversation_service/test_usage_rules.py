"""When the month's messages are an alarm, and which month a time belongs to."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from conversation_service.domain.usage import Usage, month_of, reached


@pytest.mark.parametrize(
    ("messages", "quota", "told", "used_up", "expected"),
    [
        (79, 100, 0, False, None),
        (80, 100, 0, False, 80),
        (80, 100, 80, False, None),
        (95, 100, 80, False, 95),
        (100, 100, 0, False, 95),
        (400, 500, 0, False, 80),
        (399, 500, 0, False, None),
        (1, 1, 0, False, 95),
        (10_000, None, 0, False, None),
        (3, 500, 0, True, 100),
        (3, None, 95, True, 100),
        (3, 500, 100, True, None),
        (500, 500, 100, False, None),
    ],
)
def test_given_a_month_when_looked_at_then_each_level_is_told_once(messages, quota, told, used_up, expected):
    assert reached(Usage("1", "2026-11", messages, told), quota, is_used_up=used_up) == expected


def test_given_a_time_of_another_zone_when_counted_then_its_month_is_that_of_utc():
    in_buenos_aires = datetime(2026, 11, 30, 22, 30, tzinfo=timezone(timedelta(hours=-3)))
    assert month_of(in_buenos_aires) == "2026-12"
    assert month_of(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == "2026-11"
