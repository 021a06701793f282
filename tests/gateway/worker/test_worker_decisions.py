"""What a turn ends with, without any service."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.worker import decisions
from gateway.worker.decisions import REASONS, Speech
from gateway.worker.media import Act, Alone, Beside
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.intent.v1 import analysis_pb2 as analysis_pb
from kommomesh.llm.v1 import generation_pb2 as generation_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh_runtime.profile import LANGUAGES, load_profile

PROFILE = load_profile(None)


# On Monday at noon somebody is there, at nine in the evening nobody is.
NOON = datetime(2026, 11, 23, 15, tzinfo=UTC)
EVENING = NOON + timedelta(hours=9)


def speech(language="es", *, is_open=True):
    return Speech(PROFILE, language, NOON if is_open else EVENING)


@pytest.mark.parametrize(
    ("analyzed", "locale", "language"),
    [("pt", "es-AR", "pt"), ("und", "es-AR", "es"), ("", "pt-BR", "pt"), ("fr", "en-US", "en"), ("es", "pt", "es")],
)
def test_given_analysis_when_language_chosen_then_heard_one_else_accounts(analyzed, locale, language):
    assert decisions.language_of(analyzed, locale) == language


@pytest.mark.parametrize(
    ("is_open", "is_failure", "key"),
    [
        (True, False, "handoff_notice"),
        (False, False, "handoff_notice_closed"),
        (True, True, "failure_notice"),
        (False, True, "failure_notice_closed"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_given_hours_and_cause_when_person_called_then_fitting_notice(is_open, is_failure, key, language):
    notice = speech(language, is_open=is_open).notice(is_failure=is_failure)
    opening = {"es": "mañana a partir de las 9:30", "pt": "amanhã a partir das 9:30", "en": "tomorrow from 9:30"}
    assert notice == [PROFILE.texts[key][language].replace("{opening}", opening[language])]
    assert ("9:30" in notice[0]) is not is_open


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_given_failure_of_ours_when_person_called_then_reason_in_accounts_language(code, language):
    decision = decisions.failed(code, f"{language}-XX", speech(language))
    assert decision.is_failure
    assert decision.reason == REASONS[code][language]
    assert decision.priority == common.PRIORITY_HIGH


def test_given_escalation_without_code_when_handed_over_then_it_still_has_one():
    escalation = analysis_pb.Escalation(should_escalate=True)
    assert decisions.handed_over(escalation, speech()).reason_code == "escalation"


def reply(*parts, text=""):
    return reply_pb.GenerateReplyResponse(reply=reply_pb.Reply(text=text, parts=parts))


def test_given_reply_without_parts_when_decided_then_its_text_is_the_part():
    decision = decisions.generated(reply(text="hola"), "es-AR", speech())
    assert list(decision.parts) == ["hola"]


def test_given_blank_text_of_the_business_when_media_came_then_person_called_without_notice():
    texts = {key: {"es": " "} for key in ("media_voice", "handoff_notice", "handoff_notice_closed")}
    silent = Speech(PROFILE.model_copy(update={"texts": texts}), "es", NOON)
    decision = decisions.wordless(Alone(Act.ASK, "media_voice"), "es-AR", silent)
    assert decision.reason_code == "media_voice"
    assert not decision.notice_parts


def test_given_very_long_reason_when_person_called_then_cut_to_what_is_stored():
    response = reply_pb.GenerateReplyResponse(person_needed=reply_pb.PersonNeeded(reason="x" * 5000))
    decision = decisions.generated(response, "es-AR", speech())
    assert len(decision.reason) == 1000
    assert len(decisions.handed_over(analysis_pb.Escalation(reason="x" * 5000), speech()).reason) == 1000


def test_given_part_that_is_too_long_when_decided_then_cut_and_nothing_lost():
    decision = decisions.generated(reply("a" * 5000, " \x00", "b"), "es-AR", speech())
    assert [len(part) for part in decision.parts] == [4096, 904, 1]


def test_given_too_many_parts_when_decided_then_person_called():
    decision = decisions.generated(reply(*("a" for _ in range(21))), "es-AR", speech())
    assert decision.reason_code == "reply_unusable"


def test_given_most_parts_allowed_when_voice_unheard_then_still_allowed():
    decision = decisions.generated(reply(*("a" for _ in range(20))), "es-AR", speech(), Beside(told=("media_voice",)))
    assert len(decision.parts) == 20


def test_given_person_needed_without_code_when_decided_then_it_still_has_one():
    response = reply_pb.GenerateReplyResponse(person_needed=reply_pb.PersonNeeded())
    decision = decisions.generated(response, "es-AR", speech())
    assert decision.reason_code == "person_needed"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("El Termo acero 1L está.", ["T-1"]),
        ("Código t-1.", ["T-1"]),
        ("Hay un termo.", []),
        ("Termo acero 1L y mate imperial", ["T-1", "M-1"]),
    ],
)
def test_given_rows_when_reply_names_some_then_only_those_skus(text, found):
    product = generation_pb.KNOWLEDGE_KIND_PRODUCT
    rows = [
        generation_pb.KnowledgeRow(kind=product, id="T-1", title="Termo acero 1L"),
        generation_pb.KnowledgeRow(kind=product, id="M-1", title="Mate Imperial"),
        generation_pb.KnowledgeRow(kind=product, id="T-1", title="Termo acero 1L"),
    ]
    assert decisions.products_in(text, generation_pb.Generation(rows=rows)) == found
