"""With a key and a base URL, the words come from the model, which is asked properly."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, Mesh, running_mesh, until
from support.model_server import ModelServer, running_model

from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as service_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model():
    async with running_model(ModelServer(answer="Abrimos a las nueve y media. ¿Querés venir hoy?")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(model: ModelServer, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL_CHAT": "peer-model"}
    # A person's silence of a second gives a chat back, so that no test has to wait for it.
    lines = "resume_after_seconds = 1"
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", environ=environ, account_lines=lines) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def conversations(mesh: Mesh):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel:
        yield service_grpc.ConversationServiceStub(channel)


async def test_given_key_when_client_writes_then_model_is_asked_once_with_everything_in_order(
    mesh: Mesh, model: ModelServer
):
    chat = f"model-{uuid4().hex[:8]}"
    first, second = "Buenas, ¿a qué hora abren los sábados?", "¿y los lunes feriados también abren?"
    await mesh.client_writes(first, chat)
    assert (await mesh.wait_for_replies(chat))[0]["text"] == model.answer
    await mesh.client_writes(second, chat)
    await mesh.wait_for_replies(chat, 2)
    asked = model.requests[-1]["messages"]
    contents = [str(message["content"]) for message in asked]
    assert asked[0]["role"] == "system"
    assert "Casa Lumbre" in contents[0]
    assert sum(second in content for content in contents) == 1
    assert sum(first in content for content in contents) == 1
    assert second in contents[-1]
    history = [(message["role"], message["content"]) for message in asked[1:-1]]
    assert history == [("user", first), ("assistant", model.answer)]


async def test_given_model_that_invents_a_price_when_answering_then_the_price_never_leaves(
    mesh: Mesh, model: ModelServer
):
    chat = f"price-{uuid4().hex[:8]}"
    said, model.answer = model.answer, "Sale $ 123.456,78 y te lo llevás hoy."
    try:
        await mesh.client_writes("¿cuánto sale la pava eléctrica?", chat)
        replies = await mesh.wait_for_replies(chat)
    finally:
        model.answer = said
    assert "123.456" not in " ".join(reply["text"] for reply in replies)


FIRST = "Buenas, ¿a qué hora abren los martes?"
PERSONS = "Soy Ana, te aparto el termo azul hasta el martes a la tarde."
NEXT = "¿y los miércoles a qué hora abren?"
# Whoever asks a model to be silent gets silence at the wrong moment, or words about silence.
SILENCE = ("silenc", "silent", "callad", "no respond", "no contest", "do not answer", "don't answer", "não respond")


async def person_answers(mesh: Mesh, conversations, chat: str) -> pb.Conversation:
    """Let a client be answered by the bot and then by a person; return the conversation with that person's floor."""
    await mesh.client_writes(FIRST, chat)
    await mesh.wait_for_replies(chat)
    await mesh.colleague_writes(PERSONS, chat)
    request = service_pb.GetConversationRequest(account_id=ACCOUNT, chat_id=chat)

    async def look() -> pb.Conversation | None:
        found = (await conversations.GetConversation(request)).conversation
        return found if found.floor.holder == pb.FLOOR_HOLDER_PERSON else None

    return await until(look)


async def next_request(mesh: Mesh, model: ModelServer, chat: str) -> list[dict[str, str]]:
    """Let the client write on, and return what the model was asked for the reply, the system prompt first."""
    await mesh.client_writes(NEXT, chat)
    await mesh.wait_for_replies(chat, 2)
    asked = [one["messages"] for one in model.requests if "response_format" not in one]
    return next(messages for messages in reversed(asked) if NEXT in messages[-1]["content"])


@pytest.mark.parametrize("how", ["given back", "silent for long"])
async def test_given_a_person_who_spoke_when_the_bot_has_the_floor_again_then_the_model_knows_what_the_person_said(
    mesh: Mesh, model: ModelServer, conversations, how: str
):
    chat = f"return-{uuid4().hex[:8]}"
    found = await person_answers(mesh, conversations, chat)
    if how == "given back":
        request = service_pb.ReleaseToBotRequest(conversation_id=found.id, request_id=str(uuid4()))
        await conversations.ReleaseToBot(request)
    else:
        until_then = found.floor.change_time.ToDatetime(UTC).timestamp() + 1.1

        async def is_over() -> bool:
            return datetime.now(UTC).timestamp() > until_then

        await until(is_over)
    asked = await next_request(mesh, model, chat)
    said = [(message["role"], message["content"]) for message in asked[1:-1] if PERSONS in message["content"]]
    assert [role for role, _ in said] == ["assistant"]
    assert f"(Lo escribió una persona del equipo) {PERSONS}" in said[0][1].splitlines()
    assert [word for word in SILENCE for message in asked if word in message["content"].lower()] == []


@pytest.mark.parametrize("how", ["closed", "resolved"])
async def test_given_an_episode_that_ended_when_the_client_writes_again_then_the_model_sees_nothing_of_it(
    mesh: Mesh, model: ModelServer, conversations, how: str
):
    chat = f"ended-{uuid4().hex[:8]}"
    found = await person_answers(mesh, conversations, chat)
    if how == "resolved":
        request = service_pb.ResolveConversationRequest(conversation_id=found.id, request_id=str(uuid4()))
        await conversations.ResolveConversation(request)
    else:
        (await mesh.kommo.post(f"/control/talks/{found.talk_id}/close", json={})).raise_for_status()
        look_for = service_pb.GetConversationRequest(account_id=ACCOUNT, chat_id=chat)

        async def is_closed() -> bool:
            found = (await conversations.GetConversation(look_for)).conversation
            return found.status == pb.CONVERSATION_STATUS_CLOSED

        await until(is_closed)
    asked = await next_request(mesh, model, chat)
    assert [message["role"] for message in asked] == ["system", "user"]
    assert not any(old in message["content"] for old in (FIRST, PERSONS, model.answer) for message in asked)
