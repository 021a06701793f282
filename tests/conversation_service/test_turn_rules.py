"""What becomes of a worker's decision."""

import pytest

from conversation_service.domain.turns import (
    MAX_ATTEMPTS,
    Answer,
    Escalate,
    NoAnswer,
    TurnResult,
    attempts_after_abandon,
    is_escalate_only,
    is_superseded,
    reasons_of,
    result_of,
)

ANSWER = Answer(("hola",))
ESCALATE = Escalate("human_request", "asks for a person")
NO_ANSWER = NoAnswer("thanks_only")


@pytest.mark.parametrize(
    ("decision", "count", "has_newer", "expected"),
    [
        (ANSWER, 0, True, True),
        (ANSWER, 1, True, True),
        (ANSWER, 2, True, False),
        (ANSWER, 0, False, False),
        (NO_ANSWER, 1, True, True),
        (NO_ANSWER, 2, True, False),
        (ESCALATE, 0, True, False),
        (ESCALATE, 0, False, False),
    ],
)
def test_given_newer_messages_when_decided_then_at_most_two_decisions_in_a_row_go_back(
    decision, count, has_newer, expected
):
    assert is_superseded(decision, count, has_newer=has_newer) is expected


@pytest.mark.parametrize(
    ("decision", "result", "reasons"),
    [
        (ANSWER, TurnResult.ANSWERED, ("", "")),
        (ESCALATE, TurnResult.ESCALATED, ("human_request", "asks for a person")),
        (NO_ANSWER, TurnResult.NOT_ANSWERED, ("thanks_only", "")),
    ],
)
def test_given_a_decision_that_stands_when_the_turn_ends_then_it_names_result_and_reason(decision, result, reasons):
    assert (result_of(decision), reasons_of(decision)) == (result, reasons)


def test_given_leases_without_outcome_when_counted_then_the_fourth_only_escalates():
    assert [is_escalate_only(attempt) for attempt in range(1, MAX_ATTEMPTS + 2)] == [False, False, False, True]


def test_given_an_abandoned_turn_when_counted_then_it_was_no_attempt():
    assert [attempts_after_abandon(attempts) for attempts in (0, 1, 3)] == [0, 0, 2]
