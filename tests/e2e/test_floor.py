"""The person has the floor: one notice, silence, and nothing that was waiting ever leaves."""

from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, Mesh, until

from kommomesh.conversation.v1 import conversation_pb2, conversation_service_pb2, conversation_service_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

pb = conversation_service_pb2
OUTCOME = conversation_pb2.MessageOutcome.Name


@pytest_asyncio.fixture(loop_scope="module")
async def conversations(mesh: Mesh):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel:
        yield conversation_service_pb2_grpc.ConversationServiceStub(channel)


async def find(conversations, chat: str) -> conversation_pb2.Conversation:
    request = pb.GetConversationRequest(account_id=ACCOUNT, chat_id=chat)
    return (await conversations.GetConversation(request)).conversation


async def client_outcomes(conversations, chat: str) -> list[str]:
    """Return the outcomes of the client's messages, oldest first, once all are decided."""
    conversation = await find(conversations, chat)

    async def look() -> list[str]:
        answer = await conversations.ListMessages(pb.ListMessagesRequest(conversation_id=conversation.id))
        found = [one.outcome for one in reversed(answer.messages) if one.role == 1]
        return [OUTCOME(one) for one in found] if all(found) else []

    return await until(look)


async def test_given_request_for_a_person_when_escalated_then_one_notice_and_silence_until_release(
    mesh: Mesh, conversations
):
    chat = f"floor-{uuid4().hex[:8]}"
    await mesh.client_writes("quiero hablar con una persona por favor", chat)
    notice = await mesh.wait_for_replies(chat)
    assert "persona" in notice[0]["text"]
    await mesh.client_writes("hola? hay alguien?", chat)
    await mesh.client_writes("cuánto sale el envío?", chat)

    async def three_stored() -> bool:
        return (await find(conversations, chat)).user_message_count == 3

    await until(three_stored)
    assert await client_outcomes(conversations, chat) == ["MESSAGE_OUTCOME_HANDED_TO_PERSON"] * 3
    conversation = await find(conversations, chat)
    assert conversation.status == conversation_pb2.CONVERSATION_STATUS_ESCALATED
    assert len(await mesh.replies(chat)) == 1
    release = pb.ReleaseToBotRequest(conversation_id=conversation.id, request_id=str(uuid4()))
    await conversations.ReleaseToBot(release)
    await mesh.client_writes("¿a qué hora abren?", chat)
    assert len(await mesh.wait_for_replies(chat, 2)) == 2
    assert (await client_outcomes(conversations, chat))[-1] == "MESSAGE_OUTCOME_ANSWERED"


async def test_given_reply_waiting_when_a_person_takes_over_then_it_never_leaves_even_after_the_give_back(
    mesh: Mesh, conversations
):
    chat = f"waiting-{uuid4().hex[:8]}"
    fault = {"match": {"operation": "send_message"}, "action": "status", "status": 503, "times": 3}
    (await mesh.kommo.post("/control/faults", json=fault)).raise_for_status()
    await mesh.client_writes("¿a qué hora abren?", chat)

    async def was_tried() -> list:
        return (await mesh.kommo.get("/control/requests", params={"operation": "send_message"})).json()["requests"]

    tried = len(await was_tried())

    async def tried_again() -> bool:
        return len(await was_tried()) > tried

    await until(tried_again)
    await mesh.colleague_writes("Hola, te atiendo yo", chat)

    async def person_has_it() -> bool:
        return (await find(conversations, chat)).floor.holder == conversation_pb2.FLOOR_HOLDER_PERSON

    await until(person_has_it)
    conversation = await find(conversations, chat)
    await conversations.ReleaseToBot(pb.ReleaseToBotRequest(conversation_id=conversation.id, request_id=str(uuid4())))
    assert await client_outcomes(conversations, chat) == ["MESSAGE_OUTCOME_HANDED_TO_PERSON"]
    await mesh.kommo.delete("/control/faults")
    await mesh.client_writes("¿hacen envíos?", chat)
    replies = await mesh.wait_for_replies(chat)
    assert await client_outcomes(conversations, chat) == [
        "MESSAGE_OUTCOME_HANDED_TO_PERSON",
        "MESSAGE_OUTCOME_ANSWERED",
    ]
    trace = (await conversations.GetTrace(pb.GetTraceRequest(turn_id=await last_turn(conversations, chat)))).trace
    assert [one.text for one in trace.deliveries] == [one["text"] for one in replies]


async def last_turn(conversations, chat: str) -> str:
    conversation = await find(conversations, chat)
    answer = await conversations.ListMessages(pb.ListMessagesRequest(conversation_id=conversation.id))
    return next(one.turn_id for one in answer.messages if one.role == 1)


async def test_given_echo_of_our_own_reply_when_it_comes_back_then_no_second_message_and_no_take_over(
    mesh: Mesh, conversations
):
    chat = f"echo-{uuid4().hex[:8]}"
    await mesh.client_writes("¿a qué hora abren?", chat)
    await mesh.wait_for_replies(chat)
    assert await client_outcomes(conversations, chat) == ["MESSAGE_OUTCOME_ANSWERED"]

    async def echoed() -> bool:
        attempts = (await mesh.kommo.get("/control/webhooks", params={"chat_id": chat})).json()
        return attempts["pending"] == 0 and len(attempts["attempts"]) >= 2

    await until(echoed)
    conversation = await find(conversations, chat)
    assert conversation.floor.holder == conversation_pb2.FLOOR_HOLDER_BOT
    assert conversation.bot_message_count == len(await mesh.replies(chat))
