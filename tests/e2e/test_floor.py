"""The person has the floor: one notice, silence, nothing that was waiting ever leaves, and no echo takes it."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, Mesh, running_mesh, until

from kommomesh.conversation.v1 import conversation_pb2, conversation_service_pb2, conversation_service_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

pb = conversation_service_pb2
OUTCOME = conversation_pb2.MessageOutcome.Name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A mesh that answers chats of the own channel through it."""
    folder: Path = tmp_path_factory.mktemp("mesh")
    lines = 'transports = ["own_channel", "talk_message"]'
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", account_lines=lines) as running:
        yield running


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


async def holder(conversations, chat: str) -> int:
    return (await find(conversations, chat)).floor.holder


async def asks(conversations, method: str, request: type, chat: str) -> None:
    """Ask for a verb of people."""
    found = await find(conversations, chat)
    await getattr(conversations, method)(request(conversation_id=found.id, request_id=str(uuid4())))


async def tried(mesh: Mesh, chat: str) -> bool:
    """Tell whether a reply in a chat was tried."""
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        query = (
            "SELECT count(*) FROM deliveries d JOIN kommo_conversations c ON c.id = d.conversation_id "
            "WHERE c.kommo_chat_id = ? AND d.kind = 'reply' AND d.attempt_count > 0"
        )
        return bool(connection.execute(query, (chat,)).fetchone()[0])


async def waiting(mesh: Mesh, chat: str) -> int:
    """Return how many messages of a chat wait to be sent."""
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        query = (
            "SELECT count(*) FROM deliveries d JOIN kommo_conversations c ON c.id = d.conversation_id "
            "WHERE c.kommo_chat_id = ? AND d.lane = 'message' AND d.state = 'pending'"
        )
        return int(connection.execute(query, (chat,)).fetchone()[0])


async def by_inbox(mesh: Mesh, conversations, chat: str) -> None:
    await mesh.colleague_writes("Hola, te atiendo yo", chat)


async def by_phone(mesh: Mesh, conversations, chat: str) -> None:
    body = {"text": "Hola, te escribo desde el teléfono", "chat_id": chat, "device": "phone", "wrapper": "message"}
    (await mesh.kommo.post("/control/colleague-messages", json=body)).raise_for_status()


async def by_console(mesh: Mesh, conversations, chat: str) -> None:
    await asks(conversations, "TakeOver", pb.TakeOverRequest, chat)


async def by_words(mesh: Mesh, conversations, chat: str) -> None:
    await mesh.client_writes("quiero hablar con una persona por favor", chat)


async def by_failure(mesh: Mesh, conversations, chat: str) -> None:
    """Wait for the second attempt, which Kommo refuses for good."""


async def by_person_and_closing(mesh: Mesh, conversations, chat: str) -> None:
    """Let a person take the chat and close its talk, so that the bot has the floor again."""
    await by_inbox(mesh, conversations, chat)
    await until_held(conversations, chat, PERSON)
    found = await find(conversations, chat)
    (await mesh.kommo.post(f"/control/talks/{found.talk_id}/close", json={})).raise_for_status()


async def until_held(conversations, chat: str, wanted: int) -> None:
    async def look() -> bool:
        return await holder(conversations, chat) == wanted

    await until(look)


ALL_FAIL = {"match": {"operation": "send_message"}, "status": 503, "times": -1}
BOT = conversation_pb2.FLOOR_HOLDER_BOT
CALLED = conversation_pb2.FLOOR_HOLDER_PERSON_WAITING
PERSON = conversation_pb2.FLOOR_HOLDER_PERSON
Way = Callable[[Mesh, object, str], Awaitable[None]]
# How the floor is lost while a reply waits, and who has it then.
WAYS: dict[str, tuple[Way, int]] = {
    "inbox": (by_inbox, PERSON),
    "phone": (by_phone, PERSON),
    "console": (by_console, PERSON),
    "words": (by_words, CALLED),
    "failure": (by_failure, CALLED),
    "closing": (by_person_and_closing, BOT),
}


async def test_given_replies_waiting_when_the_floor_is_lost_in_every_way_then_none_leaves_even_after_the_give_back(
    mesh: Mesh, conversations
):
    chats = {way: f"{way}-{uuid4().hex[:8]}" for way in WAYS}
    refused = (await mesh.kommo.post("/control/chats", json={"chat_id": chats["failure"]})).json()
    match = {"operation": "send_message", "path": f"/talks/{refused['talk_id']}/"}
    # All at once and beforehand: in a gap between two orders of faults, Kommo would take a reply.
    for order in ({"match": match, "status": 400, "skip": 1, "times": -1}, ALL_FAIL):
        (await mesh.kommo.post("/control/faults", json={"action": "status", **order})).raise_for_status()
    for chat in chats.values():
        await mesh.client_writes("¿a qué hora abren?", chat)
    for chat in chats.values():
        await until(lambda chat=chat: tried(mesh, chat))
    for way, (lose, wanted) in WAYS.items():
        await lose(mesh, conversations, chats[way])
        await until_held(conversations, chats[way], wanted)
    for way in ("inbox", "phone", "console", "failure"):
        await asks(conversations, "ReleaseToBot", pb.ReleaseToBotRequest, chats[way])
    await mesh.kommo.delete("/control/faults")
    for chat in chats.values():
        await until(lambda chat=chat: nothing_waits(mesh, chat))
    said = {way: [one["text"] for one in await mesh.replies(chat)] for way, chat in chats.items()}
    notice = said.pop("words")
    assert len(notice) == 1
    assert "persona" in notice[0]
    assert said == {way: [] for way in said}
    outcomes = {way: await client_outcomes(conversations, chat) for way, chat in chats.items()}
    assert {one for found in outcomes.values() for one in found} == {"MESSAGE_OUTCOME_HANDED_TO_PERSON"}
    # The bot has these floors again, and answers what comes now and nothing else.
    for way in said:
        await mesh.client_writes("¿hacen envíos?", chats[way])
    for way in said:
        assert len(await mesh.wait_for_replies(chats[way])) == 1
        assert (await client_outcomes(conversations, chats[way]))[-1] == "MESSAGE_OUTCOME_ANSWERED"


async def nothing_waits(mesh: Mesh, chat: str) -> bool:
    return await waiting(mesh, chat) == 0


SHAPES = ["outgoing_message", "message", "add", "chats"]


async def quiet(mesh: Mesh, chat: str, attempts: int) -> None:
    """Return when so many webhooks of a chat were answered and none is to come."""

    async def look() -> bool:
        found = (await mesh.kommo.get("/control/webhooks", params={"chat_id": chat})).json()
        return found["pending"] == 0 and len(found["attempts"]) >= attempts

    await until(look)


@pytest.mark.parametrize("echo_order", ["after", "before"])
@pytest.mark.parametrize("echo", ["on", "internal"])
async def test_given_all_reflected_in_every_way_when_answered_then_one_turn_a_message_and_the_bot_keeps_the_floor(
    mesh: Mesh, conversations, echo: str, echo_order: str
):
    settings = {"echo": echo, "echo_order": echo_order, "echo_shapes": SHAPES}
    (await mesh.kommo.patch("/control/settings", json=settings)).raise_for_status()
    chats = {origin: f"echo-{uuid4().hex[:8]}" for origin in ("waba", f"amo.ext.{ACCOUNT}")}
    for number, (origin, chat) in product((1, 2), chats.items()):
        await mesh.client_writes(f"¿a qué hora abren? ({number})", chat, origin=origin)
        await mesh.wait_for_replies(chat, number)
        # Of each reply three form webhooks and, in the own channel, a signed one; one of the question itself.
        await quiet(mesh, chat, number * (1 + len(SHAPES) - (origin == "waba")))
    for (origin, chat), via in zip(chats.items(), ("talk_message", "own_channel"), strict=True):
        assert {one["via"] for one in await mesh.replies(chat)} == {via}, origin
        assert await client_outcomes(conversations, chat) == ["MESSAGE_OUTCOME_ANSWERED"] * 2
        found = await find(conversations, chat)
        assert (found.floor.holder, found.floor.number) == (BOT, 1)
        assert (found.user_message_count, found.bot_message_count) == (2, 2) == (2, len(await mesh.replies(chat)))
        with sqlite3.connect(mesh.folder / "mesh.db") as connection:
            query = "SELECT count(*) FROM turns t JOIN kommo_conversations c ON c.id = t.conversation_id"
            turns = connection.execute(f"{query} WHERE c.kommo_chat_id = ?", (chat,)).fetchone()[0]
        assert turns == 2
