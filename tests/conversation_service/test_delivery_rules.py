"""Whether a delivery may leave, and whether a message is its echo."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.deliveries import (
    MESSAGE_LANE,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Verdict,
    is_given_up,
    lease_cost,
    merge_ids,
    verdict,
)
from conversation_service.domain.echoes import echoed, is_leaving_in_pieces
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import TaskDetails

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAX_AGE = timedelta(minutes=15)
REPLY = Delivery(
    id=UUID(int=1),
    account_id="12345",
    conversation_id=UUID(int=2),
    turn_id=UUID(int=3),
    sequence=1,
    kind=DeliveryKind.REPLY,
    state=DeliveryState.PENDING,
    text="Sí, hay stock.",
    floor_number=4,
    created_at=NOON,
    first_unread_at=NOON,
)
NOTICE = replace(REPLY, kind=DeliveryKind.NOTICE)
NOTE = replace(REPLY, kind=DeliveryKind.NOTE)
DAY = 24 * 60


@pytest.mark.parametrize(
    ("delivery", "holder", "number", "minutes", "expected"),
    [
        (REPLY, "bot", 4, 1, Verdict.LEAVES),
        (REPLY, "bot", 5, 1, Verdict.DROPPED),
        (REPLY, "person", 5, 1, Verdict.DROPPED),
        (REPLY, "person_waiting", 4, 1, Verdict.DROPPED),
        (REPLY, "bot", 4, 16, Verdict.TOO_OLD),
        (REPLY, "bot", 5, 16, Verdict.DROPPED),
        (NOTICE, "person_waiting", 4, 1, Verdict.LEAVES),
        (NOTICE, "person_waiting", 5, 1, Verdict.DROPPED),
        (NOTICE, "person", 4, 1, Verdict.DROPPED),
        (NOTICE, "bot", 4, 1, Verdict.DROPPED),
        (replace(REPLY, forced=True), "person", 9, 1, Verdict.LEAVES),
        (replace(REPLY, forced=True), "person", 9, 16, Verdict.TOO_OLD),
        (NOTE, "person_waiting", 4, DAY, Verdict.LEAVES),
        (NOTE, "person", 5, DAY, Verdict.LEAVES),
        (NOTE, "person", 5, DAY + 1, Verdict.TOO_OLD),
        (NOTE, "bot", 5, 1, Verdict.DROPPED),
        (NOTE, "bot", 5, DAY + 1, Verdict.DROPPED),
        (replace(NOTE, forced=True), "bot", 5, 1, Verdict.LEAVES),
    ],
)
def test_given_a_floor_and_an_age_when_leased_then_the_delivery_leaves_or_ends(
    delivery, holder, number, minutes, expected
):
    now = NOON + timedelta(minutes=minutes)
    assert verdict(delivery, holder=holder, floor_number=number, now=now, max_age=MAX_AGE) is expected


@given(number=st.integers(0, 100), holder=st.sampled_from(["bot", "person_waiting", "person"]))
def test_given_any_other_number_when_leased_then_no_unforced_delivery_leaves(number, holder):
    for delivery in (REPLY, NOTICE):
        found = verdict(delivery, holder=holder, floor_number=number, now=NOON, max_age=MAX_AGE)
        assert found is Verdict.DROPPED or number == delivery.floor_number


BEGUN = replace(REPLY, attempt_count=1, unclear_since_at=NOON)


@pytest.mark.parametrize(
    ("delivery", "kommo_id", "text", "minutes", "expected"),
    [
        (BEGUN, "k1", "Sí,  hay\nstock. ", 1, True),
        (BEGUN, "k1", "Sí, hay mucho stock.", 1, False),
        (REPLY, "k1", REPLY.text, 1, False),
        (replace(BEGUN, state=DeliveryState.DEAD), "k1", REPLY.text, 1, True),
        (replace(BEGUN, state=DeliveryState.DEAD), "k1", REPLY.text, 61, False),
        (replace(BEGUN, state=DeliveryState.DROPPED, unclear_since_at=None), "k1", REPLY.text, 1, False),
        (replace(BEGUN, state=DeliveryState.SENT), "k1", REPLY.text, 1, False),
        (replace(BEGUN, state=DeliveryState.SENT, kommo_message_ids=("k1",)), "k1", "anything", 600, True),
    ],
)
def test_given_a_company_message_when_compared_then_only_an_echo_is_ours(delivery, kommo_id, text, minutes, expected):
    found = echoed([delivery], kommo_id, text, NOON + timedelta(minutes=minutes))
    assert found == (delivery if expected else None)


LONG = replace(BEGUN, text="**Abrimos** de 9.30 a 13 y de 16 a 20.30.\n- Los sábados, de mañana.")


@pytest.mark.parametrize(
    ("delivery", "text", "is_whole", "is_piece"),
    [
        (LONG, "Abrimos de 9.30 a 13 y de 16 a 20.30.\n• Los sábados, de mañana.", True, False),
        (LONG, "• Los sábados, de mañana.", False, True),
        (LONG, "Abrimos de 9.30", False, False),
        (LONG, "Los domingos, de mañana y de tarde.", False, False),
        (replace(BEGUN, text="🙂 👍"), "🙂👍", True, False),
        (replace(BEGUN, text="🙂 👍"), "🙂", False, False),
    ],
)
def test_given_a_message_as_the_channel_shows_it_when_compared_then_marks_do_not_count_and_pieces_prove_nothing(
    delivery: Delivery, text: str, is_whole: bool, is_piece: bool
) -> None:
    found = echoed([delivery], "k1", text, NOON)
    assert found == (delivery if is_whole or is_piece else None)
    assert is_leaving_in_pieces(delivery, text) == (is_piece and not is_whole)


def test_given_a_long_reply_that_was_never_tried_when_somebody_says_a_piece_of_it_then_it_is_not_ours():
    assert echoed([replace(LONG, attempt_count=0)], "k1", "• Los sábados, de mañana.", NOON) is None


def test_given_an_end_long_after_the_first_attempt_when_an_echo_comes_then_the_hour_counts_from_the_end():
    dead = replace(BEGUN, state=DeliveryState.DEAD, finished_at=NOON + timedelta(hours=3))
    assert echoed([dead], "k1", REPLY.text, NOON + timedelta(hours=3, minutes=59)) == dead
    assert echoed([dead], "k1", REPLY.text, NOON + timedelta(hours=4)) is None


def test_given_equal_words_when_an_echo_comes_then_the_oldest_that_waits_counts():
    dropped = replace(BEGUN, id=UUID(int=7), state=DeliveryState.DROPPED)
    later = replace(BEGUN, id=UUID(int=8), sequence=2)
    assert echoed([dropped, BEGUN, later], "k1", REPLY.text, NOON) == BEGUN
    assert echoed([dropped, replace(later, kommo_message_ids=("k1",))], "k1", "otra", NOON).id == later.id


def test_given_an_unclear_attempt_when_leased_again_then_it_costs_the_reading_back_too():
    assert (lease_cost(REPLY), lease_cost(BEGUN)) == (1, 2)


def test_given_an_account_whose_messages_take_more_when_leased_then_messages_alone_cost_it():
    note = replace(REPLY, kind=DeliveryKind.NOTE)
    assert (lease_cost(REPLY, 6), lease_cost(BEGUN, 6), lease_cost(note, 6)) == (6, 7, 1)


def test_given_a_task_of_nobody_when_leased_then_it_costs_the_question_who_is_responsible_too():
    task = replace(BEGUN, kind=DeliveryKind.TASK, details=TaskDetails(NOON, Priority.HIGH))
    assert lease_cost(task) == 3
    assert lease_cost(replace(task, details=TaskDetails(NOON, Priority.HIGH, responsible_user_id=7))) == 2


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_given_a_kind_when_asked_then_messages_share_a_lane_and_all_else_has_its_own(kind):
    assert kind.lane == (MESSAGE_LANE if kind in (DeliveryKind.REPLY, DeliveryKind.NOTICE) else kind.value)
    assert not is_given_up(replace(REPLY, kind=kind, attempt_count=500)) or not kind.is_action


def test_given_ids_of_two_reports_when_merged_then_each_stands_once_in_order():
    assert merge_ids(("a", "b"), ("b", "c", "a")) == ("a", "b", "c")


@pytest.mark.parametrize(("attempts", "expected"), [(1, False), (11, False), (12, True), (13, True)])
def test_given_failed_attempts_when_counted_then_the_twelfth_is_the_last(attempts, expected):
    assert is_given_up(replace(REPLY, attempt_count=attempts)) is expected
