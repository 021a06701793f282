"""When somebody of a business is there: counted over time zones and their clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kommomesh_runtime.business_hours import WEEKDAYS, BusinessHours
from kommomesh_runtime.openings import opening_words, with_opening
from kommomesh_runtime.profile import LANGUAGES, example_profile_dir, load_profile

QUARTER = timedelta(minutes=15)
# With clocks that change at night, by half an hour, in the other half of the year, and never.
ZONES = ("America/Argentina/Buenos_Aires", "America/New_York", "Europe/Madrid", "Australia/Lord_Howe", "Asia/Kathmandu")
BUENOS_AIRES = ZoneInfo(ZONES[0])
WEEK = {day: [(time(9, 30), time(19))] for day in WEEKDAYS[:5]} | {"saturday": [(time(10), time(14))]}
SHOP = BusinessHours(ZONES[0], WEEK)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a time of November 2026 in Buenos Aires; the 23rd is a Monday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=BUENOS_AIRES)


quarters = st.integers(0, 95).map(lambda number: time(number // 4, number % 4 * 15))
spans = st.lists(st.tuples(quarters, quarters).filter(lambda span: span[0] < span[1]), max_size=3)
# Some hours on every day keep the counting by hand short.
hours = st.builds(
    BusinessHours,
    st.sampled_from(ZONES),
    st.fixed_dictionaries({day: spans.map(lambda day: [*day, (time(12), time(13))]) for day in WEEKDAYS}),
)
# Around the clock changes of spring and autumn, in the north and in the south.
moments = st.builds(
    lambda begin, number: begin + number * QUARTER,
    st.sampled_from([datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 7), (3, 28), (4, 4), (10, 3))]),
    st.integers(0, 4 * 48),
)


@settings(max_examples=60, deadline=None)
@given(hours, moments, st.integers(0, 12))
def test_given_any_hours_when_time_is_counted_then_so_much_of_it_was_open(hours, moment, number):
    due = hours.after(moment, number * QUARTER.total_seconds())
    steps = (due - moment) // QUARTER
    assert moment + steps * QUARTER == due
    assert sum(hours.is_open(moment + step * QUARTER) for step in range(steps)) == number
    # Not a moment later than needed.
    assert number == 0 or hours.is_open(due - QUARTER)


@settings(max_examples=60, deadline=None)
@given(hours, moments)
def test_given_any_hours_when_closed_then_the_next_opening_is_the_first_open_time(hours, moment):
    opening = hours.next_opening(moment)
    assert opening is not None
    if not hours.is_open(moment):
        waited = (opening - moment) // QUARTER
        assert hours.is_open(opening)
        assert not any(hours.is_open(moment + step * QUARTER) for step in range(waited))


@pytest.mark.parametrize(
    ("called", "due"),
    [
        (at(23, 11), at(23, 11, 30)),
        (at(23, 18, 45), at(24, 9, 45)),
        (at(23, 22), at(24, 10)),
        (at(28, 13, 50), at(30, 9, 50)),
        (at(29, 3), at(30, 10)),
    ],
)
def test_given_a_shop_when_half_an_hour_is_counted_then_nights_and_sundays_do_not_count(called, due):
    assert SHOP.after(called, 1800) == due


def test_given_spans_that_overlap_when_counted_then_no_time_counts_twice():
    shop = BusinessHours("UTC", {"monday": [(time(11), time(13)), (time(9), time(12)), (time(13), time(14))]})
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert shop.after(monday, 5 * 3600) == monday.replace(hour=14)
    assert shop.next_opening(monday.replace(hour=10)) == monday.replace(day=30, hour=9)


@pytest.mark.parametrize("closed", [{}, {"monday": []}])
def test_given_no_hours_when_counted_then_every_time_counts(closed):
    never = BusinessHours("UTC", closed)
    assert never.after(at(23, 23), 1800) == at(23, 23, 30)
    assert never.next_opening(at(23, 23)) is None
    assert never.is_open(at(23, 23)) is not bool(closed)


@pytest.mark.parametrize(
    ("moment", "language", "words"),
    [
        (at(23, 8), "es", "hoy a partir de las 9:30"),
        (at(23, 20), "es", "mañana a partir de las 9:30"),
        (at(28, 15), "es", "el lunes a partir de las 9:30"),
        (at(28, 15), "pt", "na segunda-feira a partir das 9:30"),
        (at(27, 20), "pt", "amanhã a partir das 10:00"),
        (at(28, 15), "en", "on Monday from 9:30"),
    ],
)
def test_given_a_closed_shop_when_the_opening_is_said_then_in_the_clients_words(moment, language, words):
    assert opening_words(SHOP, moment, language) == words


def test_given_a_business_that_never_opens_when_the_opening_is_said_then_nothing_is_invented():
    never = BusinessHours("UTC", {"monday": []})
    assert with_opening("Te responde {opening}.", never, at(23, 8), "es") == "Te responde apenas abramos."
    assert with_opening("{otra} cosa", SHOP, at(23, 8), "es") == "{otra} cosa"


@pytest.mark.parametrize("key", ["handoff_notice", "failure_notice", "courtesy"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("locale", ["es-AR", "es-MX"])
def test_given_the_built_in_texts_when_nobody_is_there_then_another_one_says_when_somebody_is(
    tmp_path, key, language, locale
):
    source = (example_profile_dir() / "business.toml").read_text()
    (tmp_path / "business.toml").write_text(source.replace('"es-AR"', f'"{locale}"'))
    profile = load_profile(tmp_path)
    assert profile.says_vos is (locale == "es-AR")
    by_day, by_night = profile.text_at(key, at(23, 12), language), profile.text_at(key, at(23, 22), language)
    assert "9:30" in by_night
    assert "9:30" not in by_day
    assert "{" not in by_day + by_night
