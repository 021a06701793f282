"""Who speaks: times, repeats and numbers; what every event makes of every state is in `test_floor_table`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.floor import (
    ClientWrote,
    Escalated,
    Floor,
    FloorEvent,
    Holder,
    PersonWrote,
    Priority,
    Released,
    Resolved,
    ResumeAfter,
    Status,
    TakenOver,
    TalkClosed,
    after,
    new_floor,
)

BEGIN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(minutes=5)
RESUME = ResumeAfter(person=timedelta(hours=12), failure=timedelta(minutes=15))

BOT = new_floor(BEGIN)
CALLED = after(BOT, Escalated("asked for a person", Priority.HIGH), BEGIN)
FAILED = after(BOT, Escalated("model down", Priority.HIGH, is_failure=True), BEGIN)
PERSON = after(BOT, PersonWrote(BEGIN, "Ana"), BEGIN)
TAKEN = after(CALLED, TakenOver("Ana"), BEGIN)
RESOLVED = after(PERSON, Resolved(), BEGIN)
CLOSED = after(BOT, TalkClosed(BEGIN), BEGIN)
CLOSED_BY_PERSON = after(PERSON, TalkClosed(BEGIN + timedelta(minutes=1)), BEGIN + timedelta(minutes=1))
STATES = {
    "bot": BOT,
    "called": CALLED,
    "failed": FAILED,
    "person": PERSON,
    "taken": TAKEN,
    "resolved": RESOLVED,
    "closed": CLOSED,
}

CLIENT = ClientWrote(RESUME)
WROTE = PersonWrote(NOW, "Luz")
ESCALATE = Escalated("complaint", Priority.CRITICAL)
TAKE = TakenOver("Luz")
CLOSE = TalkClosed(NOW)
EVENTS: dict[str, FloorEvent] = {
    "client": CLIENT,
    "wrote": WROTE,
    "escalate": ESCALATE,
    "fail": Escalated("kommo down", Priority.HIGH, is_failure=True),
    "take": TAKE,
    "release": Released(),
    "close": CLOSE,
    "resolve": Resolved(),
}

B, W, P = Holder.BOT, Holder.PERSON_WAITING, Holder.PERSON


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", ["close", "resolve"])
def test_given_any_state_when_it_ends_then_a_new_episode_begins(state: str, event: str) -> None:
    found = after(STATES[state], EVENTS[event], NOW)
    assert (found.episode_started_at, found.assigned_to, found.is_failure) == (NOW, "", False)


@pytest.mark.parametrize(
    ("floor", "begins"),
    [
        (PERSON, BEGIN),
        (after(CALLED, PersonWrote(NOW, "Ana"), NOW), BEGIN),
        (after(after(BOT, TakenOver("Ana"), BEGIN), PersonWrote(NOW, "Ana"), NOW), BEGIN),
        (CALLED, NOW + timedelta(hours=1)),
        (TAKEN, NOW + timedelta(hours=1)),
        # Somebody wrote in an earlier episode alone.
        (after(CLOSED_BY_PERSON, TakenOver("Ana"), NOW), NOW + timedelta(hours=1)),
    ],
)
def test_given_a_give_back_when_the_person_had_written_then_the_episode_begins_with_the_persons_time(
    floor: Floor, begins: datetime
) -> None:
    found = after(floor, Released(), NOW + timedelta(hours=1))
    assert (found.holder, found.episode_started_at) == (B, begins)


@pytest.mark.parametrize(
    ("floor", "wait", "holder"),
    [
        (CALLED, timedelta(hours=11, minutes=59), W),
        (CALLED, timedelta(hours=12), B),
        (PERSON, timedelta(hours=11, minutes=59), P),
        (PERSON, timedelta(hours=12), B),
        (TAKEN, timedelta(hours=12), B),
        (FAILED, timedelta(minutes=14, seconds=59), W),
        (FAILED, timedelta(minutes=15), B),
        (after(FAILED, PersonWrote(BEGIN), BEGIN), timedelta(minutes=15), P),
        (after(FAILED, TakenOver(), BEGIN), timedelta(minutes=15), P),
    ],
)
def test_given_a_silent_person_when_the_client_writes_then_the_bot_resumes_after_its_time(
    floor: Floor, wait: timedelta, holder: Holder
) -> None:
    found = after(floor, CLIENT, BEGIN + wait)
    assert found.holder is holder
    assert found.episode_started_at == floor.episode_started_at


def test_given_a_person_who_goes_on_writing_when_the_client_writes_then_the_time_counts_from_the_last_word() -> None:
    later = BEGIN + timedelta(hours=11)
    floor = after(PERSON, PersonWrote(later), later)
    assert after(floor, CLIENT, later + timedelta(hours=11)).holder is P
    assert after(floor, CLIENT, later + timedelta(hours=12)).holder is B


def test_given_a_give_back_when_an_older_word_of_a_person_arrives_then_the_bot_keeps_the_floor() -> None:
    released = after(PERSON, Released(), NOW)
    assert after(released, PersonWrote(NOW - timedelta(seconds=1)), NOW + timedelta(minutes=1)) == released


def test_given_a_give_back_when_a_word_of_the_same_second_arrives_then_the_person_has_the_floor() -> None:
    released = after(PERSON, Released(), NOW + timedelta(milliseconds=700))
    assert after(released, PersonWrote(NOW), NOW + timedelta(seconds=2)).holder is P


def test_given_a_person_after_the_talk_was_closed_when_the_news_is_repeated_then_the_person_keeps_the_floor() -> None:
    closed = after(PERSON, TalkClosed(NOW), NOW)
    taken = after(closed, TakenOver("Ana"), NOW + timedelta(minutes=1))
    assert after(taken, TalkClosed(NOW), NOW + timedelta(minutes=2)) == taken


@pytest.mark.parametrize("person", [TakenOver("Ana"), PersonWrote(BEGIN, "Ana"), Escalated("asked", Priority.HIGH)])
@pytest.mark.parametrize(("seconds", "holder"), [(-300, None), (-1, None), (0, B), (1, B)])
def test_given_a_person_when_an_earlier_closing_is_told_late_then_only_a_later_one_gives_the_floor_back(
    person: FloorEvent, seconds: int, holder: Holder | None
) -> None:
    floor = after(BOT, person, BEGIN)
    found = after(floor, TalkClosed(BEGIN + timedelta(seconds=seconds)), NOW)
    assert found.holder is (holder or floor.holder)


def test_given_a_persons_word_told_late_when_the_talk_was_closed_after_it_then_the_bot_has_the_floor() -> None:
    floor = after(BOT, PersonWrote(BEGIN - timedelta(minutes=30), "Ana"), BEGIN)
    assert after(floor, TalkClosed(BEGIN - timedelta(minutes=20)), NOW).holder is B


def test_given_a_person_who_wrote_on_when_a_closing_between_the_words_is_told_late_then_the_person_keeps_it() -> None:
    floor = after(PERSON, PersonWrote(NOW, "Ana"), NOW)
    assert after(floor, TalkClosed(NOW - timedelta(minutes=2)), NOW + timedelta(minutes=1)) == floor


def test_given_a_called_person_when_somebody_writes_then_the_number_rises_so_that_the_notice_is_dropped() -> None:
    assert after(CALLED, WROTE, NOW).number == CALLED.number + 1


def test_given_an_escalation_when_decided_then_it_tells_why_and_how_soon() -> None:
    found = after(BOT, ESCALATE, NOW)
    assert (found.reason, found.priority, found.escalated_at) == ("complaint", Priority.CRITICAL, NOW)


@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(0, 50_000)), max_size=30))
def test_given_any_events_when_they_come_in_order_then_status_follows_the_floor_and_numbers_only_rise(
    events: list[tuple[str, int]],
) -> None:
    floor, now = BOT, BEGIN
    for name, seconds in events:
        now += timedelta(seconds=seconds)
        event = EVENTS[name]
        if isinstance(event, PersonWrote):
            event = replace(event, written_at=now)
        found = after(floor, event, now)
        assert found.number >= floor.number
        assert (found.holder is B) == (found.status is not Status.ESCALATED)
        floor = found
