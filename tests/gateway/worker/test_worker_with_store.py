"""The worker with the real conversation-service over SQLite: from stored messages to what is stored in the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.store_mesh import Mesh, running_mesh
from support.worker_peers import Peers, failing

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb


@pytest.fixture
async def mesh(tmp_path: Path, peers: Peers) -> AsyncIterator[Mesh]:
    async with running_mesh(tmp_path, peers) as running:
        yield running


def sent_texts(peers: Peers) -> list[tuple[str, str]]:
    return [(request.chat_id, request.text) for request in peers.kommo.sends.requests]


async def test_given_bursts_of_two_clients_when_worked_then_each_answered_once_in_order(mesh, peers):
    peers.replies.replies.usual = reply_pb.GenerateReplyResponse(reply=reply_pb.Reply(parts=["uno", "dos", "tres"]))
    first = await mesh.write("chat-1", "hola", "una pregunta", "¿abren hoy?")
    second = await mesh.write("chat-2", "buenas")
    async with mesh.worker():
        messages = await mesh.settled(first, 3)
        await mesh.settled(second, 1)
    assert [m.outcome for m in messages if m.role == common.ROLE_USER] == [conv.MESSAGE_OUTCOME_ANSWERED] * 3
    assert [m.content for m in messages if m.role == common.ROLE_ASSISTANT] == ["uno", "dos", "tres"]
    sent = sent_texts(peers)
    assert len(sent) == 6
    assert [text for chat, text in sent if chat == "chat-1"] == ["uno", "dos", "tres"]
    bursts = {len(request.burst): request for request in peers.replies.replies.requests}
    assert [message.text for message in bursts[3].burst] == ["hola", "una pregunta", "¿abren hoy?"]


async def test_given_answered_turn_when_its_trace_is_read_then_steps_and_proof_are_there(mesh):
    conversation_id = await mesh.write("chat-1", "hola")
    async with mesh.worker(worker_id="worker-7"):
        (client, reply) = await mesh.settled(conversation_id, 1)
    assert client.turn_id == reply.turn_id
    trace = (await mesh.stub.GetTrace(service_pb.GetTraceRequest(turn_id=client.turn_id))).trace
    assert (trace.result, trace.worker_id) == (conv.TURN_RESULT_ANSWERED, "worker-7")
    assert [step.name for step in trace.steps][:2] == ["analyze", "generate"]
    assert [list(delivery.kommo_message_ids) for delivery in trace.deliveries] == [[reply.kommo_message_id]]


async def test_given_escalation_when_client_writes_on_then_one_notice_and_silence(mesh, peers):
    peers.intents.analyses.usual.analysis.escalation.should_escalate = True
    conversation_id = await mesh.write("chat-1", "quiero hablar con una persona")
    async with mesh.worker():
        await mesh.settled(conversation_id, 1)
        await mesh.write("chat-1", "¿hola?")
        messages = await mesh.settled(conversation_id, 2)
        await peers.kommo.sends.seen(1)
    outcomes = {m.outcome for m in messages if m.role == common.ROLE_USER}
    assert outcomes == {conv.MESSAGE_OUTCOME_HANDED_TO_PERSON}
    assert len(peers.kommo.sends.requests) == 1
    assert len(peers.intents.analyses.requests) == 1


async def test_given_worker_killed_in_mid_turn_when_lease_ends_then_another_answers_once(mesh, peers):
    begun = asyncio.Event()

    async def hang(request):
        begun.set()
        await asyncio.Event().wait()

    peers.replies.replies.queued.append(hang)
    conversation_id = await mesh.write("chat-1", "hola")
    async with mesh.worker() as task:
        await begun.wait()
        task.cancel()
    await mesh.poll_of_the_dead_ended()
    mesh.shift += timedelta(seconds=41)
    async with mesh.worker():
        await mesh.settled(conversation_id, 1)
    assert sent_texts(peers) == [("chat-1", "Abrimos a las 9.30.")]


async def test_given_unclear_send_when_tried_again_then_read_back_asked_for_and_one_reply_stored(mesh, peers):
    peers.kommo.sends.queued.append(failing("UNAVAILABLE"))
    conversation_id = await mesh.write("chat-1", "hola")
    async with mesh.worker():
        await peers.kommo.sends.seen(1)
        messages = await mesh.settled(conversation_id, 1)
    first, second = peers.kommo.sends.requests
    assert first.delivery_id == second.delivery_id
    assert not first.HasField("unclear_since_time")
    assert second.HasField("unclear_since_time")
    assert [m.role for m in messages] == [common.ROLE_USER, common.ROLE_ASSISTANT]


async def test_given_refused_send_when_reported_then_person_has_the_message(mesh, peers):
    peers.kommo.sends.usual = kommo_pb.SendMessageResponse(
        outcome=kommo_pb.SEND_OUTCOME_TELL_PERSON, reason="talk_closed"
    )
    conversation_id = await mesh.write("chat-1", "hola")
    async with mesh.worker():
        (client,) = await mesh.settled(conversation_id, 1)
    assert client.outcome == conv.MESSAGE_OUTCOME_HANDED_TO_PERSON


async def test_given_voice_and_dependency_outage_when_worked_then_nobody_left_without_answer(mesh, peers):
    peers.intents.analyses.queued.extend([failing("UNAVAILABLE")] * 3)  # the channel tries three times
    spoken = await mesh.write("chat-1", "", kind=common.CONTENT_TYPE_VOICE)
    written = await mesh.write("chat-2", "hola")
    async with mesh.worker():
        for conversation_id in (spoken, written):
            messages = await mesh.settled(conversation_id, 1)
            assert [m.role for m in messages] == [common.ROLE_USER, common.ROLE_ASSISTANT]


async def test_given_200_chats_when_two_workers_take_turns_then_200_replies(mesh, peers):
    ids = [await mesh.write(f"chat-{number}", "hola", "¿abren?") for number in range(200)]
    async with mesh.worker(), mesh.worker():
        for conversation_id in ids:
            await mesh.settled(conversation_id, 2)
    assert len({chat for chat, _ in sent_texts(peers)}) == 200
    deliveries = [request.delivery_id for request in peers.kommo.sends.requests]
    assert len(deliveries) == len(set(deliveries))
