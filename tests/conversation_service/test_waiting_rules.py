"""Nobody comes: what is written ahead for it, and when it may leave."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest

from conversation_service.adapters.details import details_of_json, details_to_json
from conversation_service.domain.alerts import AlertDetails, AlertKind, reason_code
from conversation_service.domain.deliveries import (
    HAND_OVER_LANES,
    SAID_LANES,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Verdict,
    is_given_up,
    lease_cost,
    verdict,
)
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import ClientWords, HandoffRules, LeadChanges, Situation, TaskDetails
from conversation_service.domain.waiting import WaitingRules, compose_waiting, higher
from kommomesh_runtime.business_hours import WEEKDAYS, BusinessHours

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DUE_WITHIN = dict(zip(Priority, (timedelta(minutes=minutes) for minutes in (240, 60, 15, 5)), strict=True))
RULES = HandoffRules(
    has_note=True,
    has_task=True,
    language="es",
    due_within=DUE_WITHIN,
    lead_changes=LeadChanges(responsible_user_id=7),
    trace_url="https://mesh.example/{turn_id}",
)
WAITING = WaitingRules(
    after_seconds=1800,
    hours=BusinessHours("UTC", {day: [(time(9), time(12, 10))] for day in WEEKDAYS}),
    text_at=lambda key, at, language: f"{key} {at:%d %H:%M} {language}",
    has_courtesy=True,
    has_alert=True,
)
SITUATION = Situation(
    account_id="12345",
    conversation_id="c-1",
    words=[ClientWords("mi pedido nunca llegó")],
    last_reply="",
    reason="Reclama una entrega.",
    priority=Priority.MEDIUM,
    turn_id="t-1",
    reason_code="complaint",
    client_language="pt",
)


def test_given_a_call_when_composed_then_what_follows_is_due_after_business_hours_and_more_urgent():
    waiting = compose_waiting(SITUATION, RULES, WAITING, NOON)
    assert waiting is not None
    tomorrow = NOON.replace(day=24, hour=9, minute=20)
    assert waiting.due_at == tomorrow
    assert waiting.task == ("[alta] Nadie respondió todavía al cliente: «mi pedido nunca llegó». Reclama una entrega.")
    assert waiting.task_details == TaskDetails(tomorrow + timedelta(minutes=15), Priority.HIGH, 7)
    assert waiting.courtesy == "courtesy 24 09:20 pt"
    assert waiting.alert == AlertDetails(
        AlertKind.NOBODY_CAME, "complaint", Priority.HIGH, NOON, "https://mesh.example/t-1"
    )


def test_given_what_an_account_does_not_want_when_composed_then_left_out():
    assert compose_waiting(SITUATION, RULES, replace(WAITING, after_seconds=0), NOON) is None
    less = replace(WAITING, has_courtesy=False, has_alert=False)
    waiting = compose_waiting(SITUATION, replace(RULES, has_task=False), less, NOON)
    assert waiting is not None
    assert (waiting.task, waiting.task_details, waiting.courtesy, waiting.alert) == ("", None, "", None)


def test_given_no_turn_when_composed_then_the_alert_has_no_broken_address():
    waiting = compose_waiting(replace(SITUATION, turn_id=""), RULES, WAITING, NOON)
    assert waiting is not None
    assert waiting.alert is not None
    assert waiting.alert.trace_url == ""


def test_given_priorities_when_nobody_comes_then_each_is_raised_by_one_and_the_highest_stays():
    raised = [higher(priority) for priority in Priority]
    assert raised == [Priority.MEDIUM, Priority.HIGH, Priority.CRITICAL, Priority.CRITICAL]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("kommo_unavailable", "kommo_unavailable"),
        ("Ana dijo: 11 5555-1234", "other"),
        ("", "other"),
        ("x" * 65, "other"),
    ],
)
def test_given_a_code_when_told_outside_then_words_stay_inside(code, expected):
    assert reason_code(code) == expected


COURTESY = Delivery(
    id=UUID(int=1),
    account_id="12345",
    conversation_id=UUID(int=2),
    turn_id=None,
    sequence=1,
    kind=DeliveryKind.COURTESY,
    state=DeliveryState.PENDING,
    text="Tu mensaje sigue en nuestra lista.",
    floor_number=4,
    created_at=NOON - timedelta(hours=20),
    first_unread_at=NOON,
)
REMINDER = replace(
    COURTESY, kind=DeliveryKind.REMINDER, details=TaskDetails(NOON, Priority.HIGH, responsible_user_id=7)
)


def alert(kind: AlertKind) -> Delivery:
    return replace(COURTESY, kind=DeliveryKind.ALERT, text="", details=AlertDetails(kind, "x", Priority.HIGH, NOON))


NOBODY_CAME, PACKAGE, QUOTA = (
    alert(kind) for kind in (AlertKind.NOBODY_CAME, AlertKind.PACKAGE_WAITING, AlertKind.QUOTA)
)


@pytest.mark.parametrize("delivery", [COURTESY, REMINDER, NOBODY_CAME, PACKAGE])
@pytest.mark.parametrize(
    ("holder", "number", "minutes", "expected"),
    [
        ("person_waiting", 4, 1, Verdict.LEAVES),
        ("person_waiting", 5, 1, Verdict.DROPPED),
        ("person", 5, 1, Verdict.DROPPED),
        ("person", 4, 1, Verdict.DROPPED),
        ("bot", 5, 1, Verdict.DROPPED),
        ("person_waiting", 4, 24 * 60 + 1, Verdict.TOO_OLD),
    ],
)
def test_given_a_floor_when_what_follows_is_leased_then_it_leaves_only_while_that_person_is_waited_for(
    delivery, holder, number, minutes, expected
):
    found = verdict(
        delivery,
        holder=holder,
        floor_number=number,
        now=NOON + timedelta(minutes=minutes),
        max_age=timedelta(minutes=15),
    )
    assert found is expected


def test_given_a_late_courtesy_when_leased_then_it_is_too_old_as_any_message():
    found = [
        verdict(
            one,
            holder="person_waiting",
            floor_number=4,
            now=NOON + timedelta(minutes=16),
            max_age=timedelta(minutes=15),
        )
        for one in (COURTESY, REMINDER)
    ]
    assert found == [Verdict.TOO_OLD, Verdict.LEAVES]


@pytest.mark.parametrize("holder", ["bot", "person_waiting", "person"])
def test_given_an_alert_of_the_account_when_leased_then_the_floor_does_not_matter(holder):
    found = verdict(QUOTA, holder=holder, floor_number=9, now=NOON, max_age=timedelta(minutes=15))
    assert found is Verdict.LEAVES


def test_given_what_follows_when_leased_then_an_alert_costs_kommo_nothing():
    unclear = {"unclear_since_at": NOON}
    assert [lease_cost(one) for one in (COURTESY, REMINDER, NOBODY_CAME)] == [1, 1, 0]
    assert [lease_cost(replace(one, **unclear)) for one in (COURTESY, REMINDER, NOBODY_CAME)] == [2, 2, 0]
    assert [is_given_up(replace(one, attempt_count=500)) for one in (COURTESY, REMINDER, NOBODY_CAME)] == [
        True,
        False,
        False,
    ]


def test_given_the_lanes_when_a_call_ends_then_alerts_of_the_account_are_not_among_them():
    assert {NOBODY_CAME.lane, PACKAGE.lane, COURTESY.lane, REMINDER.lane} <= set(HAND_OVER_LANES)
    assert QUOTA.lane not in HAND_OVER_LANES
    assert len({NOBODY_CAME.lane, PACKAGE.lane, QUOTA.lane}) == 3
    assert set(SAID_LANES) == {"message", "courtesy"}


@pytest.mark.parametrize("delivery", [REMINDER, NOBODY_CAME, PACKAGE, QUOTA])
def test_given_details_when_stored_and_read_then_the_same(delivery):
    assert details_of_json(delivery.kind, details_to_json(delivery.details)) == delivery.details
