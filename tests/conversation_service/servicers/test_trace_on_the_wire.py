"""Why the bot said what it said, over the wire."""

from uuid import uuid4

import pytest
from support.conversation_mesh import Mesh, answer, seconds, sent

from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh.intent.v1 import analysis_pb2
from kommomesh.llm.v1 import classification_pb2, generation_pb2
from kommomesh_runtime.errors import RemoteError

ANALYSIS = analysis_pb2.Analysis(
    intent=analysis_pb2.INTENT_PRICE_INQUIRY,
    confidence=0.9,
    language="es",
    escalation=analysis_pb2.Escalation(matched=["rule-1"]),
)
GENERATION = generation_pb2.Generation(
    model="gpt",
    usage=generation_pb2.TokenUsage(prompt_tokens=10, completion_tokens=5),
    rows=[generation_pb2.KnowledgeRow(kind=generation_pb2.KNOWLEDGE_KIND_PRODUCT, id="V-1", stock=0)],
    prompt_json='[{"content": "a\x00b"}]',
    model_duration=seconds(0.8),
)
STEPS = [pb.TraceStep(name="analyze", start_offset=seconds(0.01), duration=seconds(0.002), note="ok")]


async def test_given_a_sent_answer_when_traced_by_any_name_then_all_of_it_is_there(mesh: Mesh):
    await mesh.client_writes("¿precio?")
    turn = await mesh.lease_turn(worker="worker-9")
    await mesh.complete(turn, answer=answer("uno", "dos"), analysis=ANALYSIS, generation=GENERATION, steps=STEPS)
    first = await mesh.lease_delivery()
    second = (await mesh.report(first, worker="w", sent=sent("k-1"))).next
    await mesh.report(second, sent=sent("k-2"))
    trace = await mesh.trace(turn_id=turn.turn_id)
    assert trace.analysis == ANALYSIS
    kept = generation_pb2.Generation()
    kept.CopyFrom(GENERATION)
    kept.prompt_json = '[{"content": "ab"}]'
    assert trace.generation == kept
    assert trace.generation.rows[0].HasField("stock")
    assert list(trace.steps) == STEPS
    assert (trace.result, trace.worker_id) == (pb.TURN_RESULT_ANSWERED, "worker-9")
    assert [message.content for message in trace.messages] == ["¿precio?"]
    assert [list(delivery.kommo_message_ids) for delivery in trace.deliveries] == [["k-1"], ["k-2"]]
    assert trace.HasField("lease_time")
    assert trace.HasField("complete_time")
    for message in await mesh.messages(turn.conversation.id):
        assert await mesh.trace(message_id=message.id) == trace
    assert await mesh.trace(delivery_id=second.delivery.id) == trace


async def test_given_a_turn_that_lost_its_message_to_a_person_when_traced_by_it_then_the_turn_is_found(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    turn = await mesh.lease_turn()
    await mesh.take_over(conversation_id)
    await mesh.complete(turn, answer=answer("tarde"), steps=STEPS)
    (message,) = await mesh.messages(conversation_id)
    trace = await mesh.trace(message_id=message.id)
    assert (trace.turn_id, trace.result) == (turn.turn_id, pb.TURN_RESULT_FLOOR_CHANGED)
    assert list(trace.deliveries) == []


async def test_given_a_model_s_opinion_when_traced_then_both_are_there_and_the_message_has_the_one_taken(mesh: Mesh):
    conversation_id = await mesh.client_writes("eso del otro día")
    turn = await mesh.lease_turn()
    opinion = pb.ModelClassification(
        local_analysis=analysis_pb2.Analysis(intent=analysis_pb2.INTENT_OTHER, confidence=0.3),
        model=classification_pb2.Classification(
            intent=analysis_pb2.INTENT_PRICE_INQUIRY, confidence=0.9, needs_person=False, generation=GENERATION
        ),
        is_taken=True,
    )
    opinion.model.generation.ClearField("prompt_json")
    await mesh.complete(turn, answer=answer("uno"), analysis=ANALYSIS, classification=opinion)
    trace = await mesh.trace(turn_id=turn.turn_id)
    assert (trace.analysis, trace.classification) == (ANALYSIS, opinion)
    assert trace.classification.model.HasField("needs_person")
    (message,) = await mesh.messages(conversation_id)
    assert (message.intent, message.confidence_score) == ("price_inquiry", 0.9)


async def test_given_an_escalation_when_traced_then_it_says_why(mesh: Mesh):
    await mesh.client_writes("quiero una persona")
    turn = await mesh.lease_turn()
    await mesh.complete(turn, escalate=turn_pb.EscalateDecision(reason_code="human_request", reason="la pide"))
    trace = await mesh.trace(turn_id=turn.turn_id)
    assert (trace.result, trace.reason_code, trace.reason) == (pb.TURN_RESULT_ESCALATED, "human_request", "la pide")
    assert not trace.HasField("analysis")
    assert not trace.HasField("generation")
    assert not trace.HasField("classification")


@pytest.mark.parametrize("name", ["turn_id", "message_id", "delivery_id"])
async def test_given_nothing_of_the_name_when_traced_then_it_is_not_found(mesh: Mesh, name):
    await mesh.client_writes("hola")
    with pytest.raises(RemoteError) as caught:
        await mesh.trace(**{name: str(uuid4())})
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "TRACE_NOT_FOUND")
