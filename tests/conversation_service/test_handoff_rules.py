"""The hand-over package: what people read in Kommo, whatever was said before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import (
    NO_PACKAGE,
    ClientWords,
    HandoffRules,
    LeadChanges,
    Situation,
    TaskDetails,
    compose,
    language_of,
    note_text,
    shortened,
    task_text,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = HandoffRules(
    has_note=True, has_task=True, language="es", due_within={one: timedelta(minutes=15) for one in Priority}
)
SITUATION = Situation(
    account_id="12345",
    conversation_id="c-1",
    words=(ClientWords("quiero cambiar la pava", intent="complaint"), ClientWords("llegó rota")),
    last_reply="Hola, ¿en qué ayudo?",
    reason="El cliente tiene un reclamo.",
    priority=Priority.HIGH,
    turn_id="t-1",
)


def test_given_a_complaint_when_composed_then_note_and_task_say_what_a_person_needs():
    package = compose(SITUATION, RULES, NOON)
    assert package.note.splitlines() == [
        "Cliente: reclamo: «quiero cambiar la pava / llegó rota»",
        "Asistente: «Hola, ¿en qué ayudo?»",
        "Pendiente: El cliente tiene un reclamo.",
        "Prioridad alta: responder antes de 15 min",
        "Detalle: conversación c-1, turno t-1",
    ]
    assert package.task == (
        "[alta] Responder al cliente: «quiero cambiar la pava / llegó rota». El cliente tiene un reclamo."
    )
    assert package.task_details == TaskDetails(NOON + timedelta(minutes=15), Priority.HIGH)
    assert package.lead_changes is None


@pytest.mark.parametrize("language", ["es", "pt", "en", "xx"])
@pytest.mark.parametrize("priority", list(Priority))
def test_given_a_language_when_composed_then_no_placeholder_is_left(language, priority):
    note = note_text(replace(SITUATION, priority=priority), replace(RULES, language=language))
    task = task_text(replace(SITUATION, priority=priority), language)
    assert len(note.splitlines()) == 5
    assert not set("{}") & set(note + task)


def test_given_an_account_that_wants_nothing_when_composed_then_there_is_nothing_to_do():
    assert compose(SITUATION, replace(RULES, has_note=False, has_task=False), NOON) == NO_PACKAGE


def test_given_changes_of_the_lead_when_composed_then_the_task_is_the_responsible_users():
    changes = LeadChanges(responsible_user_id=7, tags=("bot",))
    package = compose(SITUATION, replace(RULES, lead_changes=changes), NOON)
    assert package.lead_changes == changes
    assert package.task_details is not None
    assert package.task_details.responsible_user_id == 7


def test_given_an_undelivered_reply_when_composed_then_it_is_said_that_the_client_never_read_it():
    note = note_text(replace(SITUATION, is_undelivered=True, reason="quota_used_up"), RULES)
    assert "Asistente: «Hola, ¿en qué ayudo?» (no se pudo entregar)" in note
    assert "Pendiente: La respuesta del asistente no llegó al cliente (quota_used_up)." in note


def test_given_no_words_when_composed_then_the_kind_of_media_stands_for_them():
    note = note_text(replace(SITUATION, words=(ClientWords("", "voice"),), last_reply="", reason=""), RULES)
    assert note.splitlines()[:3] == [
        "Cliente: sin texto (audio)",
        "Asistente: todavía no respondió",
        "Pendiente: El cliente necesita a una persona.",
    ]


@pytest.mark.parametrize(
    ("template", "turn_id", "expected"),
    [
        ("https://mesh.example/t/{turn_id}", "t-1", "Detalle: https://mesh.example/t/t-1"),
        ("https://mesh.example/c/{conversation_id}", "", "Detalle: https://mesh.example/c/c-1"),
        ("https://mesh.example/t/{turn_id}", "", "Detalle: conversación c-1"),
    ],
)
def test_given_an_address_of_traces_when_composed_then_the_last_line_links_there(template, turn_id, expected):
    note = note_text(replace(SITUATION, turn_id=turn_id), replace(RULES, trace_url=template))
    assert note.splitlines()[-1] == expected


@given(
    st.lists(st.text(), max_size=5),
    st.text(max_size=6000),
    st.text(max_size=1500),
)
def test_given_any_words_when_composed_then_never_over_five_lines_and_short_enough(words, reply, reason):
    situation = replace(SITUATION, words=[ClientWords(one) for one in words], last_reply=reply, reason=reason)
    note, task = note_text(situation, RULES), task_text(situation, "es")
    assert len(note.splitlines()) == 5
    assert len(task.splitlines()) == 1
    assert len(note) < 1000
    assert len(task) < 500


def test_given_a_long_text_when_shortened_then_it_shows_that_something_is_missing():
    assert shortened("uno  dos\n tres", 8) == "uno dos…"
    assert shortened("uno", 3) == "uno"


@pytest.mark.parametrize(("locale", "language"), [("es-AR", "es"), ("pt-BR", "pt"), ("en", "en"), ("fr-FR", "es")])
def test_given_a_locale_when_asked_then_its_language_or_spanish(locale, language):
    assert language_of(locale) == language
