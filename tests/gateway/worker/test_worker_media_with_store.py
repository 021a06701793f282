"""What becomes of what clients send beside words, through the worker and the real conversation-service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.store_mesh import Mesh, running_mesh
from support.worker_peers import LIMIT_SECONDS, Peers

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh_runtime.profile import load_profile

PROFILE = load_profile(None)
LINK = "https://amojo.kommo.com/v2/1/attachments/2/comprobante.pdf"
ANSWERED, HANDED, SILENT = (
    conv.MESSAGE_OUTCOME_ANSWERED,
    conv.MESSAGE_OUTCOME_HANDED_TO_PERSON,
    conv.MESSAGE_OUTCOME_NOT_ANSWERED,
)
# What the client sends, and what becomes of it the first time and once more in a row.
TABLE = {
    "picture": (ANSWERED, HANDED, HANDED),
    "video": (ANSWERED, HANDED, HANDED),
    "file": (ANSWERED, HANDED, HANDED),
    "voice": (ANSWERED, ANSWERED, HANDED),
    "audio": (ANSWERED, ANSWERED, HANDED),
    "location": (ANSWERED, ANSWERED, HANDED),
    "contact": (ANSWERED, ANSWERED, HANDED),
    "sticker": (ANSWERED, ANSWERED, SILENT),
    "other": (ANSWERED, ANSWERED, HANDED),
    "text": (ANSWERED, ANSWERED, HANDED),
}


@pytest.fixture
async def mesh(tmp_path: Path, peers: Peers) -> AsyncIterator[Mesh]:
    async with running_mesh(tmp_path, peers) as running:
        yield running


def content_type(kind: str) -> int:
    return common.ContentType.Value(f"CONTENT_TYPE_{kind.upper()}")


async def reached(mesh: Mesh, conversation_id: str, count: int) -> list[conv.Message]:
    """Return the client's messages when all of them have an outcome."""
    messages = await mesh.settled(conversation_id, count)
    return [message for message in messages if message.role == common.ROLE_USER]


async def test_given_each_kind_when_sent_with_words_then_alone_then_again_then_as_the_table_says(mesh, peers):
    conversations = {}
    for kind in TABLE:
        stored = await mesh.send(kind, f"{kind}-1", text="¿abren hoy?", content_type=content_type(kind))
        conversations[kind] = stored.conversation_id
    found = {}
    async with mesh.worker():
        for number in (2, 3):
            for kind, conversation_id in conversations.items():
                await reached(mesh, conversation_id, number - 1)
                await mesh.send(kind, f"{kind}-{number}", content_type=content_type(kind))
        for kind, conversation_id in conversations.items():
            found[kind] = tuple(one.outcome for one in await reached(mesh, conversation_id, 3))
    first = {kind: (outcomes[0], outcomes[1]) for kind, outcomes in found.items()}
    again = {kind: outcomes[2] for kind, outcomes in found.items()}
    # A picture with words was shown to a person; the second one, without words, is theirs.
    assert first == {kind: outcomes[:2] for kind, outcomes in TABLE.items()}
    assert again == {kind: outcomes[2] for kind, outcomes in TABLE.items()}


async def test_given_file_with_words_when_worked_then_answered_and_one_task_shows_the_file(mesh, peers):
    file = {"content_type": common.CONTENT_TYPE_FILE, "media_url": LINK, "file_name": "comprobante.pdf"}
    stored = await mesh.send("chat-1", "m-1", text="¿llegó el pago?", **file)
    async with mesh.worker():
        (message,) = await reached(mesh, stored.conversation_id, 1)
        await peers.kommo.hand_offs.seen(1)
        found = await mesh.stub.GetConversation(
            service_pb.GetConversationRequest(conversation_id=stored.conversation_id)
        )
    assert (message.outcome, message.media_type, message.media_size_bytes) == (ANSWERED, "application/pdf", 120_400)
    assert found.conversation.floor.holder == conv.FLOOR_HOLDER_BOT
    texts = [request.text for request in peers.kommo.sends.requests]
    assert texts == ["Abrimos a las 9.30.", PROFILE.text("media_shown", "es")]
    (action,) = peers.kommo.hand_offs.requests
    assert action.WhichOneof("action") == "task"
    assert f"archivo comprobante.pdf (application/pdf, 120 kB) {LINK}" in action.task.text
    assert "«¿llegó el pago?»" in action.task.text
    trace = (await mesh.stub.GetTrace(service_pb.GetTraceRequest(turn_id=message.turn_id))).trace
    assert conv.DELIVERY_KIND_VIEWING in {delivery.kind for delivery in trace.deliveries}


async def test_given_several_files_and_one_text_when_worked_then_one_reply_and_one_task_for_all(mesh, peers):
    stored = await mesh.send("chat-1", "m-0", text="mirá estos", content_type=common.CONTENT_TYPE_TEXT)
    picture = common.CONTENT_TYPE_PICTURE
    for number in range(1, 5):
        await mesh.send("chat-1", f"m-{number}", content_type=picture, media_url=f"{LINK}?{number}")
    async with mesh.worker():
        await reached(mesh, stored.conversation_id, 5)
        (action,) = await peers.kommo.hand_offs.seen(1)
    assert len(peers.replies.replies.requests) == 1
    assert [action.task.text.count(word) for word in (f"{LINK}?", "imagen", "y 1 más")] == [3, 3, 1]


async def test_given_picture_alone_from_elsewhere_when_worked_then_no_note_leads_there(mesh, peers):
    url = "https://evil.example/foto.jpg"
    picture = {"content_type": common.CONTENT_TYPE_PICTURE, "media_url": url, "file_name": "foto.jpg"}
    stored = await mesh.send("chat-1", "m-1", **picture)
    async with mesh.worker():
        (message,) = await reached(mesh, stored.conversation_id, 1)
        actions = await peers.kommo.hand_offs.seen(2)
    assert (message.outcome, message.outcome_reason) == (HANDED, "media_picture")
    texts = {action.WhichOneof("action"): action.note.text or action.task.text for action in actions}
    assert (
        "sin texto (imagen foto.jpg (application/pdf, 120 kB) (enlace ajeno a Kommo, no se incluye))" in texts["note"]
    )
    assert not any("evil.example" in text for text in texts.values())


async def test_given_viewing_that_kommo_refuses_when_reported_then_a_person_is_called(mesh, peers):
    peers.kommo.hand_offs.queued.append(
        kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_TELL_PERSON, reason="no_entity")
    )
    file = {"content_type": common.CONTENT_TYPE_FILE, "media_url": LINK}
    stored = await mesh.send("chat-1", "m-1", text="¿abren?", **file)
    request = service_pb.GetConversationRequest(conversation_id=stored.conversation_id)
    async with mesh.worker(), asyncio.timeout(LIMIT_SECONDS):
        await reached(mesh, stored.conversation_id, 1)
        while (found := (await mesh.stub.GetConversation(request)).conversation).floor.holder == conv.FLOOR_HOLDER_BOT:
            await asyncio.sleep(0.02)
    assert found.escalation_reason == "No se pudo crear la tarea para ver lo que mandó el cliente (no_entity)."


async def test_given_late_file_of_an_answered_message_when_it_comes_then_a_person_sees_it_and_no_second_answer(
    mesh, peers
):
    stored = await mesh.send("chat-1", "m-1", content_type=common.CONTENT_TYPE_OTHER)
    async with mesh.worker():
        await reached(mesh, stored.conversation_id, 1)
        picture = {"content_type": common.CONTENT_TYPE_PICTURE, "media_url": LINK}
        late = await mesh.send("chat-1", "m-1", **picture)
        again = await mesh.send("chat-1", "m-1", **picture)
        await mesh.send("chat-1", "m-2", text="¿abren?", content_type=common.CONTENT_TYPE_TEXT)
        message, _ = await reached(mesh, stored.conversation_id, 2)
        (action,) = await peers.kommo.hand_offs.seen(1)
    assert f"imagen {LINK}" in action.task.text
    assert (late.outcome, again.outcome) == (service_pb.INGEST_OUTCOME_STORED, service_pb.INGEST_OUTCOME_DUPLICATE)
    assert (message.outcome, message.content_type, message.media_url) == (ANSWERED, common.CONTENT_TYPE_PICTURE, LINK)
    assert [request.text for request in peers.kommo.sends.requests] == [
        PROFILE.text("media_nothing", "es"),
        "Abrimos a las 9.30.",
    ]


async def test_given_words_that_come_late_while_the_turn_is_decided_then_they_are_answered_too(mesh, peers):
    begun, held = asyncio.Event(), asyncio.Event()

    async def slow(request):
        begun.set()
        await held.wait()
        return peers.replies.replies.usual

    peers.replies.replies.queued.append(slow)
    stored = await mesh.send("chat-1", "m-1", text="hola", content_type=common.CONTENT_TYPE_TEXT)
    await mesh.send("chat-1", "m-2", content_type=common.CONTENT_TYPE_OTHER)
    async with mesh.worker():
        await begun.wait()
        await mesh.send("chat-1", "m-2", text="¿y los domingos?", content_type=common.CONTENT_TYPE_TEXT)
        held.set()
        await reached(mesh, stored.conversation_id, 2)
    bursts = [[one.text for one in request.burst if one.text] for request in peers.replies.replies.requests]
    assert bursts == [["hola"], ["hola", "¿y los domingos?"]]
    assert [request.text for request in peers.kommo.sends.requests] == ["Abrimos a las 9.30."]
