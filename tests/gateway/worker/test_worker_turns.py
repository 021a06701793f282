"""Turns over the wire: each branch of what a turn can end with."""

import pytest
from support.worker_peers import failing

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1.turn_service_pb2 import CompleteTurnResponse
from kommomesh.intent.v1 import analysis_pb2 as analysis_pb
from kommomesh.llm.v1 import generation_pb2 as generation_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh_runtime.profile import load_profile

PROFILE = load_profile(None)


def says(notice: str, key: str, language: str) -> bool:
    """Tell whether a notice is the one of this name, in its words for now: somebody is there, or nobody."""
    closed = PROFILE.text(f"{key}_closed", language).partition("{opening}")[0]
    return notice == PROFILE.text(key, language) or notice.startswith(closed)


async def completed(peers, running_worker, *turns):
    """Run a worker until it has completed the turns and return the requests in the order of the turns."""
    for turn in turns:
        peers.turns.due.put_nowait(turn)
    async with running_worker():
        requests = await peers.turns.completions.seen(len(turns))
    by_turn = {request.turn_id: request for request in requests}
    return [by_turn[turn.turn_id] for turn in turns]


async def test_given_question_when_turn_taken_then_reply_completed_with_trace(
    peers, running_worker, new_turn, new_message
):
    history = [conv.Message(role=common.ROLE_ASSISTANT, content="¡Hola!"), conv.Message(role=common.ROLE_USER)]
    turn = new_turn(new_message("hola"), new_message("¿precio del termo?"), history=history)
    rows = [
        generation_pb.KnowledgeRow(kind=generation_pb.KNOWLEDGE_KIND_PRODUCT, id="T-1", title="Termo Acero"),
        generation_pb.KnowledgeRow(kind=generation_pb.KNOWLEDGE_KIND_PRODUCT, id="M-1", title="Mate Imperial"),
        generation_pb.KnowledgeRow(kind=generation_pb.KNOWLEDGE_KIND_FAQ, id="termo", title="Termo"),
    ]
    usage = generation_pb.TokenUsage(prompt_tokens=100, completion_tokens=20)
    peers.replies.replies.usual = reply_pb.GenerateReplyResponse(
        reply=reply_pb.Reply(
            text="El termo acero sale $10. ¿Lo querés?", parts=["El termo acero sale $10.", "¿Lo querés?"]
        ),
        generation=generation_pb.Generation(model="model-a", usage=usage, rows=rows),
    )
    (request,) = await completed(peers, running_worker, turn)

    assert list(request.answer.parts) == ["El termo acero sale $10.", "¿Lo querés?"]
    assert (request.answer.ai_model, request.answer.tokens_used) == ("model-a", 120)
    assert list(request.answer.products_referenced) == ["T-1"]
    assert list(request.read_message_ids) == [message.id for message in turn.messages]
    assert request.analysis.intent == analysis_pb.INTENT_FAQ
    assert request.generation.model == "model-a"
    assert [(step.name, step.note) for step in request.steps] == [("analyze", "ok"), ("generate", "ok")]
    assert request.worker_id == "worker-1"

    (asked,) = peers.intents.analyses.requests
    assert (asked.text, asked.account_id, asked.locale) == ("hola\n¿precio del termo?", "12345", "es-AR")
    assert [(said.role, said.text) for said in asked.history] == [(common.ROLE_ASSISTANT, "¡Hola!")]
    (generated,) = peers.replies.replies.requests
    assert [message.text for message in generated.history] == ["¡Hola!"]
    assert [message.text for message in generated.burst] == ["hola", "¿precio del termo?"]
    assert generated.contact_name == "Clienta de muestra"
    assert generated.analysis.intent == analysis_pb.INTENT_FAQ


async def test_given_escalation_when_turn_taken_then_person_called_in_clients_language(peers, running_worker, new_turn):
    analysis = peers.intents.analyses.usual.analysis
    analysis.language = "pt"
    analysis.escalation.CopyFrom(
        analysis_pb.Escalation(
            should_escalate=True,
            reason_code=analysis_pb.ESCALATION_REASON_HUMAN_REQUEST,
            reason="Pide una persona",
            priority=common.PRIORITY_HIGH,
        )
    )
    (request,) = await completed(peers, running_worker, new_turn())
    escalate = request.escalate
    assert (escalate.reason_code, escalate.reason) == ("human_request", "Pide una persona")
    assert (escalate.priority, escalate.is_failure) == (common.PRIORITY_HIGH, False)
    assert len(escalate.notice_parts) == 1
    assert says(escalate.notice_parts[0], "handoff_notice", "pt")
    assert not peers.replies.replies.requests


@pytest.mark.parametrize("is_failure", [True, False])
async def test_given_person_needed_when_turn_taken_then_escalated(peers, running_worker, new_turn, is_failure):
    needed = reply_pb.PersonNeeded(
        reason_code="model_unavailable", reason="Sin modelo", priority=common.PRIORITY_LOW, is_failure=is_failure
    )
    peers.replies.replies.usual = reply_pb.GenerateReplyResponse(
        person_needed=needed, generation=generation_pb.Generation(model="model-a")
    )
    (request,) = await completed(peers, running_worker, new_turn())
    assert (request.escalate.reason_code, request.escalate.is_failure) == ("model_unavailable", is_failure)
    assert request.escalate.priority == common.PRIORITY_LOW
    assert says(request.escalate.notice_parts[0], "failure_notice", "es") == is_failure
    assert request.generation.model == "model-a"


async def test_given_escalate_only_when_turn_taken_then_nobody_asked_and_person_called(peers, running_worker, new_turn):
    (request,) = await completed(peers, running_worker, new_turn(escalate_only=True))
    assert (request.escalate.reason_code, request.escalate.is_failure) == ("worker_failed", True)
    assert says(request.escalate.notice_parts[0], "failure_notice", "es")
    assert not peers.intents.analyses.requests


async def test_given_very_long_burst_when_turn_taken_then_its_end_is_analysed(
    peers, running_worker, new_turn, new_message
):
    await completed(peers, running_worker, new_turn(new_message("x" * 4096), new_message("¿abren hoy?")))
    (asked,) = peers.intents.analyses.requests
    assert len(asked.text) == 4096
    assert asked.text.endswith("\n¿abren hoy?")


@pytest.mark.parametrize(
    "reply", [reply_pb.GenerateReplyResponse(), reply_pb.GenerateReplyResponse(reply={"parts": [" "]})]
)
async def test_given_empty_reply_when_turn_taken_then_person_called(peers, running_worker, new_turn, reply):
    peers.replies.replies.usual = reply
    (request,) = await completed(peers, running_worker, new_turn())
    assert (request.escalate.reason_code, request.escalate.is_failure) == ("reply_unusable", True)


@pytest.mark.parametrize(("down", "reason"), [("intents", "intent_unavailable"), ("replies", "llm_unavailable")])
async def test_given_dependency_down_when_turn_taken_then_put_off(peers, running_worker, new_turn, down, reason):
    answers = peers.intents.analyses if down == "intents" else peers.replies.replies
    answers.usual = failing("UNAVAILABLE")
    peers.turns.due.put_nowait(new_turn(waited=10))
    async with running_worker():
        (request,) = await peers.turns.abandons.seen(1)
    assert request.reason == reason
    assert 0 < request.retry_after.ToMilliseconds() <= 60_000
    assert not peers.turns.completions.requests


async def test_given_dependency_down_for_too_long_when_turn_taken_then_person_called(peers, running_worker, new_turn):
    peers.replies.replies.usual = failing("UNAVAILABLE")
    (request,) = await completed(peers, running_worker, new_turn(waited=61))
    assert (request.escalate.reason_code, request.escalate.is_failure) == ("llm_unavailable", True)
    assert says(request.escalate.notice_parts[0], "failure_notice", "es")
    assert [step.note for step in request.steps] == ["ok", "unavailable"]
    assert not peers.turns.abandons.requests


@pytest.mark.parametrize(("code", "calls"), [("INVALID_ARGUMENT", 1), ("FAILED_PRECONDITION", 1), ("INTERNAL", 2)])
async def test_given_permanent_failure_when_turn_taken_then_person_called_at_once(
    peers, running_worker, new_turn, code, calls
):
    peers.intents.analyses.usual = failing(code)
    (request,) = await completed(peers, running_worker, new_turn())
    assert (request.escalate.reason_code, request.escalate.is_failure) == ("intent_failed", True)
    assert len(peers.intents.analyses.requests) == calls


async def test_given_one_internal_error_when_turn_taken_then_answered(peers, running_worker, new_turn):
    peers.replies.replies.queued.append(failing("INTERNAL"))
    (request,) = await completed(peers, running_worker, new_turn())
    assert request.WhichOneof("decision") == "answer"
    assert [step.note for step in request.steps] == ["ok", "internal", "ok"]


async def test_given_unknown_account_when_turn_taken_then_put_off_and_later_a_person_called(
    peers, running_worker, new_turn
):
    young, old = new_turn(account_id="99"), new_turn(account_id="99", waited=181)
    peers.turns.due.put_nowait(young)
    peers.turns.due.put_nowait(old)
    async with running_worker():
        (abandoned,) = await peers.turns.abandons.seen(1)
        (request,) = await peers.turns.completions.seen(1)
    assert (abandoned.turn_id, abandoned.reason) == (young.turn_id, "account_unknown")
    assert (request.turn_id, request.escalate.reason_code) == (old.turn_id, "account_unknown")
    assert not request.escalate.notice_parts


async def test_given_lease_lost_when_completing_then_dropped_and_next_turn_taken(peers, running_worker, new_turn):
    peers.turns.completions.queued.append(failing("FAILED_PRECONDITION", "TURN_LEASE_LOST"))
    first, second = new_turn(), new_turn()
    peers.turns.due.put_nowait(first)
    async with running_worker():
        await peers.turns.completions.seen(1)
        peers.turns.due.put_nowait(second)
        requests = await peers.turns.completions.seen(2)
    assert [request.turn_id for request in requests] == [first.turn_id, second.turn_id]
    assert not peers.turns.abandons.requests


async def test_given_outcome_refused_for_good_when_completing_then_a_person_is_called_at_once(
    peers, running_worker, new_turn
):
    turn = new_turn()
    peers.turns.completions.queued.append(failing("INVALID_ARGUMENT"))
    peers.turns.due.put_nowait(turn)
    async with running_worker():
        refused, escalated = await peers.turns.completions.seen(2)
    assert refused.WhichOneof("decision") == "answer"
    assert (escalated.turn_id, escalated.escalate.reason_code) == (turn.turn_id, "reply_unusable")
    assert (escalated.escalate.is_failure, len(escalated.escalate.notice_parts)) == (True, 1)
    assert list(escalated.read_message_ids) == [message.id for message in turn.messages]


async def test_given_every_outcome_refused_when_completing_then_the_worker_goes_on(peers, running_worker, new_turn):
    peers.turns.completions.queued.extend([failing("INVALID_ARGUMENT"), failing("INVALID_ARGUMENT")])
    peers.turns.due.put_nowait(new_turn())
    peers.turns.due.put_nowait(after := new_turn())
    async with running_worker(max_turns_in_flight=1):
        requests = await peers.turns.completions.seen(3)
    assert requests[2].turn_id == after.turn_id


async def test_given_storage_down_when_completing_then_repeated_with_same_turn_until_stored(
    peers, running_worker, new_turn
):
    peers.turns.completions.queued.extend([failing("DEADLINE_EXCEEDED"), failing("INTERNAL")])
    turn = new_turn()
    peers.turns.due.put_nowait(turn)
    async with running_worker():
        requests = await peers.turns.completions.seen(3)
    assert {request.turn_id for request in requests} == {turn.turn_id}
    assert len(peers.replies.replies.requests) == 1


@pytest.mark.parametrize("result", [conv.TURN_RESULT_SUPERSEDED, conv.TURN_RESULT_FLOOR_CHANGED])
async def test_given_outcome_not_taken_when_completed_then_nothing_sent(peers, running_worker, new_turn, result):
    peers.turns.completions.usual = CompleteTurnResponse(result=result)
    await completed(peers, running_worker, new_turn())
    assert not peers.kommo.sends.requests
