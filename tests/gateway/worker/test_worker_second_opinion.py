"""Where intent-service is unsure, a model is asked; nothing that it does or fails to do costs the turn."""

import asyncio

import pytest
from support.worker_peers import failing

from gateway.worker import second_opinion
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.intent.v1 import analysis_pb2 as analysis_pb
from kommomesh.llm.v1 import classification_pb2 as classification_pb
from kommomesh.llm.v1 import generation_pb2 as generation_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb

ACCOUNT = """
id = "12345"
subdomain = "test"
locale = "pt-BR"
turn_budget_seconds = {seconds}
classify_below = 0.6
"""


def says(intent, confidence, **more):
    generation = generation_pb.Generation(model="small", usage=generation_pb.TokenUsage(prompt_tokens=300))
    classification = classification_pb.Classification(
        intent=intent, confidence=confidence, generation=generation, **more
    )
    return reply_pb.ClassifyMessageResponse(classification=classification)


@pytest.fixture
def unsure(peers):
    """Let intent-service be unsure."""
    peers.intents.analyses.usual.analysis.CopyFrom(
        analysis_pb.Analysis(
            intent=analysis_pb.INTENT_FAQ,
            confidence=0.4,
            language="es",
            runners_up=[
                analysis_pb.ScoredIntent(intent=analysis_pb.INTENT_PRICE_INQUIRY, confidence=0.3),
                analysis_pb.ScoredIntent(intent=analysis_pb.INTENT_OTHER, confidence=0.1),
                analysis_pb.ScoredIntent(intent=analysis_pb.INTENT_COMPLAINT, confidence=0.1),
            ],
            matched=["rule.hours"],
        )
    )
    return peers.intents.analyses.usual.analysis


@pytest.fixture
def one_turn(peers, running_worker, accounts_dir, new_turn):
    """Give the way to run one turn and get what completed it."""

    async def run(*messages, account=ACCOUNT, seconds=20, **fields):
        (accounts_dir / "test.toml").write_text(account.format(seconds=seconds))
        peers.turns.due.put_nowait(new_turn(*messages, **fields))
        async with running_worker():
            (request,) = await peers.turns.completions.seen(1)
        return request

    return run


async def test_given_unsure_analysis_when_the_model_is_surer_then_its_intent_counts_and_both_are_stored(
    peers, unsure, one_turn, new_message
):
    history = [conv.Message(role=common.ROLE_ASSISTANT, content="¡Hola!")]
    peers.replies.classifications.usual = answer = says(analysis_pb.INTENT_PRICE_INQUIRY, 0.9, needs_person=False)
    request = await one_turn(new_message("y eso"), new_message("cuanto vendria a ser"), history=history)

    taken = request.analysis
    assert (taken.intent, taken.confidence) == (analysis_pb.INTENT_PRICE_INQUIRY, 0.9)
    others = [(one.intent, one.confidence) for one in taken.runners_up]
    assert others == [
        (analysis_pb.INTENT_FAQ, 0.4), (analysis_pb.INTENT_OTHER, 0.1), (analysis_pb.INTENT_COMPLAINT, 0.1)
    ]  # fmt: skip
    assert (taken.language, list(taken.matched)) == ("es", [second_opinion.MATCHED])
    assert not taken.escalation.should_escalate
    assert request.classification == conv.ModelClassification(
        local_analysis=unsure, model=answer.classification, is_taken=True
    )
    assert [(step.name, step.note) for step in request.steps] == [
        ("analyze", "ok"), ("classify", "ok"), ("generate", "ok")
    ]  # fmt: skip
    (generated,) = peers.replies.replies.requests
    assert generated.analysis == taken

    (asked,) = peers.replies.classifications.requests
    assert (asked.account_id, asked.text, asked.locale) == ("12345", "y eso\ncuanto vendria a ser", "pt-BR")
    assert [message.text for message in asked.history] == ["¡Hola!"]
    assert [(one.intent, one.confidence) for one in asked.candidates][:2] == [
        (analysis_pb.INTENT_FAQ, 0.4), (analysis_pb.INTENT_PRICE_INQUIRY, 0.3)
    ]  # fmt: skip


async def test_given_unsure_analysis_when_the_model_is_less_sure_then_the_analysis_stays_and_both_are_stored(
    peers, unsure, one_turn
):
    peers.replies.classifications.usual = says(analysis_pb.INTENT_OTHER, 0.39)
    request = await one_turn()
    assert request.analysis == unsure
    assert (request.classification.is_taken, request.classification.model.confidence) == (False, 0.39)
    assert request.classification.local_analysis == unsure


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (failing("FAILED_PRECONDITION", "MODEL_NOT_SET"), "failed_precondition"),
        (failing("UNAVAILABLE", "MODEL_UNAVAILABLE"), "unavailable"),
        (failing("UNIMPLEMENTED"), "unimplemented"),
        (failing("INTERNAL"), "internal"),
        (reply_pb.ClassifyMessageResponse(), "unusable"),
        (says(analysis_pb.INTENT_FAQ, 1.5), "unusable"),
        (says(99, 0.9), "unusable"),
    ],
)
async def test_given_unsure_analysis_when_the_model_gives_no_answer_then_the_turn_goes_by_the_analysis(
    peers, unsure, one_turn, answer, note
):
    peers.replies.classifications.usual = answer
    request = await one_turn()
    assert request.WhichOneof("decision") == "answer"
    assert request.analysis == unsure
    assert not request.HasField("classification")
    assert [(step.name, step.note) for step in request.steps][1] == ("classify", note)
    assert len(peers.replies.classifications.requests) == 1


async def test_given_a_model_that_never_answers_when_asked_then_a_part_of_the_budget_is_lost_and_not_the_turn(
    peers, unsure, one_turn
):
    forever = asyncio.Event()

    async def silent():
        await forever.wait()

    reply = peers.replies.replies.usual

    async def slow():
        await asyncio.sleep(0.5)
        return reply

    peers.replies.classifications.usual = lambda request: silent()
    peers.replies.replies.usual = lambda request: slow()
    request = await one_turn(seconds=4)
    assert request.answer.parts[0] == "Abrimos a las 9.30."
    assert request.analysis == unsure
    assert [(step.name, step.note) for step in request.steps][1] == ("classify", "deadline_exceeded")


@pytest.mark.parametrize(("confidence", "calls_person"), [(0.8, True), (0.79, False)])
async def test_given_the_model_hears_a_request_for_a_person_when_it_is_sure_then_one_is_called(
    peers, unsure, one_turn, confidence, calls_person
):
    peers.replies.classifications.usual = says(analysis_pb.INTENT_ESCALATION, confidence)
    request = await one_turn()
    assert request.analysis.intent == analysis_pb.INTENT_ESCALATION
    assert request.analysis.escalation.should_escalate == calls_person
    assert request.WhichOneof("decision") == ("escalate" if calls_person else "answer")
    assert request.classification.is_taken
    if calls_person:
        assert (request.escalate.reason_code, request.escalate.priority) == ("human_request", common.PRIORITY_HIGH)
        assert request.escalate.reason == "O cliente pede para ser atendido por uma pessoa."
        assert not request.escalate.is_failure
        assert not peers.replies.replies.requests


async def test_given_the_model_hears_a_complaint_when_it_is_sure_then_the_intent_changes_and_nobody_is_called(
    peers, unsure, one_turn
):
    peers.replies.classifications.usual = says(analysis_pb.INTENT_COMPLAINT, 0.99, needs_person=True)
    request = await one_turn()
    assert request.analysis.intent == analysis_pb.INTENT_COMPLAINT
    assert request.WhichOneof("decision") == "answer"


async def test_given_an_escalation_when_unsure_of_the_intent_then_no_model_is_asked(peers, unsure, one_turn):
    unsure.escalation.should_escalate = True
    request = await one_turn()
    assert request.WhichOneof("decision") == "escalate"
    assert not peers.replies.classifications.requests


@pytest.mark.parametrize("account", [ACCOUNT.replace("classify_below = 0.6", ""), ACCOUNT.replace("0.6", "0.4")])
async def test_given_the_account_does_not_want_it_when_unsure_then_no_model_is_asked(peers, unsure, one_turn, account):
    peers.replies.classifications.usual = says(analysis_pb.INTENT_OTHER, 0.9)
    request = await one_turn(account=account)
    assert request.analysis == unsure
    assert not peers.replies.classifications.requests


async def test_given_no_words_when_turn_taken_then_no_model_is_asked(peers, unsure, one_turn, new_message):
    await one_turn(new_message("", common.CONTENT_TYPE_STICKER))
    assert not peers.replies.classifications.requests
