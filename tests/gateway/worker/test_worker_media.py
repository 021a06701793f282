"""What becomes of what a client sends beside words: the table, then the turns over the wire."""

import re
from pathlib import Path

import pytest
from support.worker_peers import failing

from gateway.worker import media
from gateway.worker.media import RULES, Act, Alone, Beside, MediaReading
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1.conversation_pb2 import Message
from kommomesh.intent.v1 import analysis_pb2 as analysis_pb
from kommomesh_runtime.profile import load_profile

PROFILE = load_profile(None)
KIND = {kind: number for number, kind in media.KINDS.items()}
LINK = "https://amojo.kommo.com/v2/1/attachments/2/comprobante.pdf"
WORDS = Message(id="w", role=common.ROLE_USER, content="¿abren hoy?")
REPLY = Message(role=common.ROLE_ASSISTANT, content="Sí, hasta las 18.")
PERSON = Message(role=common.ROLE_AGENT, content="Hola, soy Marta.")


def sent(kind: str, content: str = "") -> Message:
    """Return a client's message of a row of the table."""
    number = KIND.get(kind, common.CONTENT_TYPE_OTHER)
    link = LINK if kind == "other" else ""
    return Message(id=kind, role=common.ROLE_USER, content=content, content_type=number, media_url=link)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Message(content="hola"), ""),
        (Message(content="hola", content_type=common.CONTENT_TYPE_OTHER), ""),
        (Message(content="transcrito", content_type=common.CONTENT_TYPE_VOICE), "voice"),
        (Message(content="mirá", content_type=common.CONTENT_TYPE_TEXT, media_url=LINK), "other"),
        (Message(content="\n", content_type=common.CONTENT_TYPE_TEXT), "nothing"),
        (Message(), "nothing"),
        (Message(content_type=common.CONTENT_TYPE_OTHER), "nothing"),
        (Message(content_type=common.CONTENT_TYPE_OTHER, file_name="a.bin"), "other"),
        (Message(content_type=99, media_url=LINK), "other"),
        *((sent(kind), kind) for kind in RULES),
    ],
)
def test_given_message_when_named_then_row_of_the_table(message, kind):
    assert media.kind_of(message) == kind


def test_given_table_when_read_then_every_row_has_texts_and_reasons():
    texts = {rule.text for rule in RULES.values()} | {"media_shown"}
    assert texts <= set(PROFILE.texts)
    assert all(PROFILE.text(key, language).strip() for key in texts for language in ("es", "pt", "en"))
    assert set(RULES) == {*media.KINDS.values(), media.OTHER, media.NOTHING}


@pytest.mark.parametrize(
    ("kind", "first", "again"),
    [
        ("picture", Alone(Act.HAND_OVER, "media_picture"), Alone(Act.HAND_OVER, "media_picture")),
        ("video", Alone(Act.HAND_OVER, "media_video"), Alone(Act.HAND_OVER, "media_video")),
        ("file", Alone(Act.HAND_OVER, "media_file"), Alone(Act.HAND_OVER, "media_file")),
        ("other", Alone(Act.HAND_OVER, "media_other"), Alone(Act.HAND_OVER, "media_other")),
        ("voice", Alone(Act.ASK, "media_voice"), Alone(Act.HAND_OVER, "media_voice", is_said=False)),
        ("audio", Alone(Act.ASK, "media_voice"), Alone(Act.HAND_OVER, "media_voice", is_said=False)),
        ("nothing", Alone(Act.ASK, "media_nothing"), Alone(Act.HAND_OVER, "media_nothing", is_said=False)),
        (
            "location",
            Alone(Act.ASK, "media_location", ("location",)),
            Alone(Act.HAND_OVER, "media_location", is_said=False),
        ),
        (
            "contact",
            Alone(Act.ASK, "media_contact", ("contact",)),
            Alone(Act.HAND_OVER, "media_contact", is_said=False),
        ),
        ("sticker", Alone(Act.ASK, "media_sticker"), Alone(Act.SILENCE, "media_sticker")),
    ],
)
def test_given_no_words_when_it_comes_first_and_again_then_as_the_table_says(kind, first, again):
    assert media.alone([sent(kind)], [WORDS, REPLY]) == first
    assert media.alone([sent(kind)], [sent(kind), REPLY]) == again


@pytest.mark.parametrize(
    ("kind", "history", "is_again"),
    [
        ("voice", [sent("voice"), REPLY, WORDS, REPLY], True),
        ("voice", [sent("audio"), REPLY], True),
        ("voice", [sent("voice"), REPLY, PERSON, REPLY], False),
        ("voice", [sent("voice", "transcrito"), REPLY], False),
        ("sticker", [sent("sticker"), REPLY, WORDS, REPLY], False),
        ("sticker", [sent("sticker"), REPLY, sent("voice"), REPLY], True),
        ("nothing", [REPLY], False),
    ],
)
def test_given_history_when_the_same_comes_then_as_far_back_as_its_row_looks(kind, history, is_again):
    assert media.came_before(RULES[kind], history) == is_again


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (["sticker", "voice", "picture"], Alone(Act.HAND_OVER, "media_picture")),
        (["file", "video"], Alone(Act.HAND_OVER, "media_video")),
        (["sticker", "location", "voice"], Alone(Act.ASK, "media_voice", ("location",))),
        (["contact", "location"], Alone(Act.ASK, "media_location", ("contact", "location"))),
    ],
)
def test_given_several_kinds_without_words_when_decided_then_a_person_comes_before_a_question(kinds, found):
    assert media.alone([sent(kind) for kind in kinds], []) == found


@pytest.mark.parametrize(
    ("kinds", "history", "found"),
    [
        (["voice"], [], Beside(("media_voice",))),
        (["voice"], [sent("voice")], Beside(("media_shown",), ("voice",))),
        (["picture", "file"], [], Beside(("media_shown",), ("picture", "file"))),
        (["voice", "location"], [], Beside(("media_voice", "media_shown"), ("location",))),
        (["sticker", "nothing"], [], Beside()),
        ([], [], Beside()),
    ],
)
def test_given_words_too_when_decided_then_files_are_shown_and_voice_is_told_once(kinds, history, found):
    assert media.beside([sent(kind) for kind in kinds], history) == found


async def test_given_reader_that_hears_when_burst_is_read_then_its_words_count_and_the_rest_stays_unread():
    async def hears(message):
        heard = message.content_type == common.CONTENT_TYPE_VOICE
        return MediaReading("¿tienen mates?") if heard else media.NOT_READ

    burst = await media.read_burst([sent("voice"), sent("picture", "este")], hears)
    assert [one.content for one in burst.messages] == ["¿tienen mates?", "este"]
    assert [one.id for one in burst.unread] == ["picture"]


async def completed(peers, running_worker, turn):
    peers.turns.due.put_nowait(turn)
    async with running_worker():
        (request,) = await peers.turns.completions.seen(1)
    return request


async def test_given_picture_alone_when_turn_taken_then_person_called_with_what_is_known_of_it(
    peers, running_worker, new_turn
):
    picture = Message(id="p", role=common.ROLE_USER, content_type=common.CONTENT_TYPE_PICTURE, media_url=LINK)
    request = await completed(peers, running_worker, new_turn(picture))
    escalate = request.escalate
    assert (escalate.reason_code, escalate.is_failure, escalate.priority) == (
        "media_picture",
        False,
        common.PRIORITY_MEDIUM,
    )
    (notice,) = escalate.notice_parts
    assert notice.startswith(PROFILE.text("media_picture", "es") + "\n")
    (finding,) = request.media
    assert (finding.message_id, finding.media_type, finding.size_bytes) == ("p", "application/pdf", 120_400)
    assert [(step.name, step.note) for step in request.steps] == [("inspect_media", "1 of 1")]
    assert [(one.account_id, one.url) for one in peers.kommo.files.requests] == [("12345", LINK)]
    assert not peers.intents.analyses.requests


async def test_given_voice_again_when_turn_taken_then_notice_alone_and_the_question_not_repeated(
    peers, running_worker, new_turn
):
    request = await completed(peers, running_worker, new_turn(sent("voice"), history=[sent("voice"), REPLY]))
    assert request.escalate.reason_code == "media_voice"
    assert not any(PROFILE.text("media_voice", "es") in part for part in request.escalate.notice_parts)
    assert request.escalate.notice_parts


async def test_given_file_with_words_when_turn_taken_then_answered_and_shown_and_told_once(
    peers, running_worker, new_turn
):
    file = Message(
        id="f",
        role=common.ROLE_USER,
        content="¿llegó el pago?",
        content_type=common.CONTENT_TYPE_FILE,
        media_url=LINK,
    )
    shown = PROFILE.text("media_shown", "es")
    peers.turns.due.put_nowait(new_turn(file))
    peers.turns.due.put_nowait(new_turn(file, history=[Message(role=common.ROLE_ASSISTANT, content=shown)]))
    async with running_worker(max_turns_in_flight=1):
        first, again = await peers.turns.completions.seen(2)
    assert list(first.answer.parts) == ["Abrimos a las 9.30.", shown]
    assert list(first.answer.shown_message_ids) == ["f"]
    assert [finding.message_id for finding in first.media] == ["f"]
    generated, _ = peers.replies.replies.requests
    assert [(one.text, one.content_type) for one in generated.burst] == [("¿llegó el pago?", common.CONTENT_TYPE_FILE)]
    assert list(again.answer.parts) == ["Abrimos a las 9.30."]
    assert list(again.answer.shown_message_ids) == ["f"]


async def test_given_sticker_again_when_turn_taken_then_silence_with_a_recorded_reason(peers, running_worker, new_turn):
    request = await completed(peers, running_worker, new_turn(sent("sticker"), history=[sent("sticker"), REPLY]))
    assert request.WhichOneof("decision") == "no_answer"
    assert request.no_answer.reason_code == "media_sticker_again"


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNIMPLEMENTED"])
async def test_given_file_that_cannot_be_looked_at_when_turn_taken_then_person_called_all_the_same(
    peers, running_worker, new_turn, code
):
    peers.kommo.files.usual = failing(code)
    file = Message(id="f", role=common.ROLE_USER, content_type=common.CONTENT_TYPE_FILE, media_url=LINK)
    request = await completed(peers, running_worker, new_turn(file))
    assert request.escalate.reason_code == "media_file"
    assert not request.media
    assert [step.note for step in request.steps] == ["0 of 1"]


async def test_given_words_that_ask_for_a_person_when_turn_taken_then_file_is_looked_at_for_them(
    peers, running_worker, new_turn
):
    analysis = peers.intents.analyses.usual.analysis
    analysis.escalation.CopyFrom(analysis_pb.Escalation(should_escalate=True, reason="Reclamo"))
    file = Message(
        id="f", role=common.ROLE_USER, content="llegó roto", content_type=common.CONTENT_TYPE_FILE, media_url=LINK
    )
    request = await completed(peers, running_worker, new_turn(file))
    assert request.escalate.reason == "Reclamo"
    assert [finding.size_bytes for finding in request.media] == [120_400]


def test_given_table_when_documented_then_the_page_says_the_same():
    page = (Path(__file__).parents[3] / "docs" / "architecture" / "media.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| `(\w+)` \|$", page, re.M)}
    span = {"words": "in a row", "episode": "in the episode"}
    told = {}
    for kind, rule in RULES.items():
        again = rule.again.replace("_", " ")
        differs = rule.alone != rule.again
        beside = "tell, then show" if rule.beside == "tell" else rule.beside
        told[kind] = (
            rule.alone.replace("_", " "),
            f"{again}, {span[rule.again_since]}" if differs else again,
            beside,
            rule.text,
        )
    assert rows == told
