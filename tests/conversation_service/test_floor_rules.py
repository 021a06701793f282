"""Who speaks, for every state and every event."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.floor import (
    ClientWrote,
    ConversationEnded,
    ConversationEscalated,
    ConversationNotEscalated,
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
    require,
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
ACTIVE, ESCALATED = Status.ACTIVE, Status.ESCALATED
# For each event, the holder and the status after it, by state in the order of STATES.
TABLE: dict[str, list[tuple[Holder, Status]]] = {
    "client": [
        (B, ACTIVE),
        (W, ESCALATED),
        (W, ESCALATED),
        (P, ESCALATED),
        (P, ESCALATED),
        (B, ACTIVE),
        (B, ACTIVE),
    ],
    "wrote": [(P, ESCALATED)] * 7,
    "escalate": [
        (W, ESCALATED),
        (W, ESCALATED),
        (W, ESCALATED),
        (P, ESCALATED),
        (P, ESCALATED),
        (W, ESCALATED),
        (W, ESCALATED),
    ],
    "fail": [
        (W, ESCALATED),
        (W, ESCALATED),
        (W, ESCALATED),
        (P, ESCALATED),
        (P, ESCALATED),
        (W, ESCALATED),
        (W, ESCALATED),
    ],
    "take": [(P, ESCALATED)] * 7,
    "release": [(B, ACTIVE)] * 7,
    "close": [(B, Status.CLOSED)] * 7,
    "resolve": [(B, Status.RESOLVED)] * 7,
}
CELLS = [(state, event, *cell) for event, cells in TABLE.items() for state, cell in zip(STATES, cells, strict=True)]


@pytest.mark.parametrize(("state", "event", "holder", "status"), CELLS)
def test_given_a_state_when_an_event_comes_then_the_table_says_who_speaks(
    state: str, event: str, holder: Holder, status: Status
) -> None:
    found = after(STATES[state], EVENTS[event], NOW)
    assert (found.holder, found.status) == (holder, status)


@pytest.mark.parametrize(("state", "event", "holder", "status"), CELLS)
def test_given_any_step_when_the_holder_changes_then_alone_the_number_rises(
    state: str, event: str, holder: Holder, status: Status
) -> None:
    before = STATES[state]
    found = after(before, EVENTS[event], NOW)
    has_changed = found.holder is not before.holder
    assert found.number == before.number + has_changed
    assert found.changed_at == (NOW if has_changed else before.changed_at)


REFUSED = {
    ("escalate", "called"): ConversationEscalated,
    ("escalate", "failed"): ConversationEscalated,
    ("escalate", "person"): ConversationEscalated,
    ("escalate", "taken"): ConversationEscalated,
    ("fail", "called"): ConversationEscalated,
    ("fail", "failed"): ConversationEscalated,
    ("fail", "person"): ConversationEscalated,
    ("fail", "taken"): ConversationEscalated,
    ("release", "bot"): ConversationNotEscalated,
    ("release", "resolved"): ConversationNotEscalated,
    ("release", "closed"): ConversationNotEscalated,
    ("resolve", "resolved"): ConversationEnded,
    ("resolve", "closed"): ConversationEnded,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_given_a_state_when_a_verb_is_asked_for_then_only_what_makes_no_sense_is_refused(
    state: str, event: str
) -> None:
    refusal = REFUSED.get((event, state))
    if refusal is None:
        require(STATES[state], EVENTS[event], "c1")
        return
    with pytest.raises(refusal):
        require(STATES[state], EVENTS[event], "c1")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", ["release", "close", "resolve"])
def test_given_any_state_when_it_is_given_back_then_a_new_episode_begins(state: str, event: str) -> None:
    found = after(STATES[state], EVENTS[event], NOW)
    assert (found.episode_started_at, found.assigned_to, found.is_failure) == (NOW, "", False)


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
        assert (found.holder is B) == (found.status is not ESCALATED)
        floor = found
