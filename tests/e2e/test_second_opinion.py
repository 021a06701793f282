"""An account that wants a model to be asked: unsure messages take its word, and its failure costs nothing."""

import json
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, Mesh, running_mesh, until
from support.model_server import ModelServer, running_model

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2
from kommomesh.conversation.v1 import conversation_service_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as pb_grpc
from kommomesh.intent.v1 import analysis_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

THRESHOLD = 0.9
UNSURE = "che, lo del martes"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model():
    async with running_model(ModelServer(answer="Claro, contame un poco más y lo vemos.")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(model: ModelServer, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL_FAST": "peer-fast"}
    url = f"sqlite:///{folder}/mesh.db"
    async with running_mesh(folder, url, environ=environ, account_lines=f"classify_below = {THRESHOLD}") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def traced(mesh: Mesh):
    """Give the way from a chat to the trace of its first message, once that is decided, and to the message."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel:
        stub = pb_grpc.ConversationServiceStub(channel)

        async def of(chat: str) -> tuple[conversation_pb2.Trace, conversation_pb2.Message]:
            found = await stub.GetConversation(pb.GetConversationRequest(account_id=ACCOUNT, chat_id=chat))

            async def decided() -> conversation_pb2.Message | None:
                listed = await stub.ListMessages(pb.ListMessagesRequest(conversation_id=found.conversation.id))
                client = [one for one in listed.messages if one.role == common.ROLE_USER]
                return client[-1] if client and client[-1].outcome else None

            message = await until(decided)
            return (await stub.GetTrace(pb.GetTraceRequest(message_id=message.id))).trace, message

        yield of


async def test_given_unsure_message_when_the_model_knows_then_its_intent_counts_and_the_trace_has_both(
    mesh: Mesh, model: ModelServer, traced
):
    model.label = json.dumps({"intent": "appointment", "confidence": 0.97, "needs_person": False})
    chat = f"unsure-{uuid4().hex[:8]}"
    await mesh.client_writes(UNSURE, chat)
    assert (await mesh.wait_for_replies(chat))[0]["text"] == model.answer
    trace, message = await traced(chat)
    both = trace.classification
    assert 0 < both.local_analysis.confidence < THRESHOLD
    assert (both.is_taken, both.model.intent, both.model.confidence) == (True, analysis_pb2.INTENT_APPOINTMENT, 0.97)
    assert (both.model.generation.model, both.model.generation.usage.prompt_tokens) == ("peer-model", 100)
    assert trace.analysis.intent == analysis_pb2.INTENT_APPOINTMENT
    assert (message.intent, message.confidence_score) == ("appointment", 0.97)
    assert [step.name for step in trace.steps][:3] == ["analyze", "classify", "generate"]
    (asked,) = [request for request in model.requests if "response_format" in request]
    assert asked["model"] == "peer-fast"
    assert json.loads(asked["messages"][-1]["content"])["message"] == UNSURE


async def test_given_unsure_message_when_the_model_hears_a_wish_for_a_person_then_one_is_called(
    mesh: Mesh, model: ModelServer, traced
):
    model.label = json.dumps({"intent": "escalation", "confidence": 0.95, "needs_person": True})
    chat = f"person-{uuid4().hex[:8]}"
    await mesh.client_writes(UNSURE, chat)
    assert "persona" in (await mesh.wait_for_replies(chat))[0]["text"]
    trace, message = await traced(chat)
    assert (trace.result, trace.reason_code) == (conversation_pb2.TURN_RESULT_ESCALATED, "human_request")
    assert message.outcome == conversation_pb2.MESSAGE_OUTCOME_HANDED_TO_PERSON
    assert trace.classification.model.intent == analysis_pb2.INTENT_ESCALATION


async def test_given_unsure_message_when_the_model_is_down_then_the_turn_ends_by_the_local_analysis(
    mesh: Mesh, model: ModelServer, traced
):
    model.is_down = True
    chat = f"down-{uuid4().hex[:8]}"
    try:
        await mesh.client_writes(UNSURE, chat)
        assert await mesh.wait_for_replies(chat)
        trace, message = await traced(chat)
    finally:
        model.is_down = False
    assert not trace.HasField("classification")
    assert 0 < trace.analysis.confidence < THRESHOLD
    assert [(step.name, step.note) for step in trace.steps][1] == ("classify", "unavailable")
    name = analysis_pb2.Intent.Name(trace.analysis.intent).removeprefix("INTENT_").lower()
    assert message.intent == name
