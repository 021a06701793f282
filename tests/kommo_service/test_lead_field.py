"""The field that a bot prints: what it holds, and for how long its text may still be on its way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kommo_service.domain.lead_field import LeadField, field_of, is_newest_chat
from kommo_service.domain.readback import Seen
from kommo_service.domain.talks import Talk, listed

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
AT = NOON.timestamp()
FILLED = [{"field_id": 5, "values": [{"value": "x"}]}, {"field_id": 7, "values": [{"value": "Hola  mundo"}]}]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (FILLED, "Hola  mundo"),
        (None, ""),
        ([], ""),
        ("x", ""),
        ([{"field_id": 7, "values": None}], ""),
        ([{"field_id": 7, "values": []}], ""),
        ([{"field_id": 7, "values": [{"value": 12}]}], ""),
        ([{"field_id": "7", "values": [{"value": "x"}]}], ""),
    ],
)
def test_given_a_lead_when_read_then_its_field_has_the_text_or_nothing(fields: Any, text: str) -> None:
    assert field_of({"custom_fields_values": fields, "updated_at": 5}, 7, 0.0) == LeadField(text, 5.0)


def test_given_a_field_when_compared_then_white_space_does_not_count() -> None:
    field = LeadField("Hola  mundo", AT)
    assert field.holds("Hola\nmundo")
    assert not field.holds("Hola mundos")
    assert (field.holds_start_of("Hola mundo y más"), field.holds_start_of("Hola mundo")) == (True, False)
    assert not LeadField("", AT).holds_start_of("Hola")


@pytest.mark.parametrize(
    ("changed", "drift", "since", "left"),
    [(-3, 0, None, 7), (-30, 0, None, 0), (597, 600, None, 7), (-603, -600, None, 7), (-30, 0, -2, 8), (-3, 0, -9, 7)],
)
def test_given_a_change_when_asked_then_a_bot_may_take_its_time_from_the_latest_sign(
    changed: float, drift: float, since: float | None, left: float
) -> None:
    began = None if since is None else NOON + timedelta(seconds=since)
    assert LeadField("x", AT + changed, drift).seconds_left(10, NOON, began) == pytest.approx(left)


@pytest.mark.parametrize(
    ("at", "text", "is_printed"), [(1, "x", True), (-4, "x", True), (-6, "x", False), (1, "y", False)]
)
def test_given_what_a_bot_said_when_compared_then_only_the_same_since_the_change_is_its_print(
    at: float, text: str, is_printed: bool
) -> None:
    assert LeadField("x", AT).is_printed([Seen("1", text, AT + at)]) is is_printed


def test_given_chats_of_a_lead_when_compared_then_the_bot_speaks_in_the_newest_and_of_equals_in_none() -> None:
    old, new, same = (Talk(str(n), f"c{n}", True, at, "9") for n, at in enumerate((1.0, 2.0, 2.0)))
    assert is_newest_chat(new, [old, new])
    assert not is_newest_chat(old, [old, new])
    assert not is_newest_chat(new, [new, same])
    assert is_newest_chat(new, [new, Talk("7", new.chat_id, True, 9.0, "9")])


def test_given_talks_when_listed_then_only_a_lead_is_their_lead() -> None:
    items = [{"talk_id": n, "entity_id": 9, "entity_type": kind} for n, kind in enumerate(("customer", "lead"), 1)]
    assert {talk.id: talk.lead_id for talk in listed(items)} == {"1": "", "2": "9"}
