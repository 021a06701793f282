"""The worker with the real conversation-service over SQLite: from stored messages to what is stored in the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.worker_peers import LIMIT_SECONDS, Peers, failing

from conversation_service.__main__ import built_services
from conversation_service.adapters.open_store import open_store
from conversation_service.migrate import migrate
from conversation_service.settings import ConversationSettings
from gateway.worker.main import run_worker
from gateway.worker.settings import WorkerSettings
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from kommomesh.conversation.v1.turn_service_pb2 import LeaseTurnsRequest
from kommomesh.conversation.v1.turn_service_pb2_grpc import TurnServiceStub
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh_runtime.accounts import load_accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.parsing import from_seconds, from_time
from kommomesh_runtime.server import running_server

POLL_SECONDS = 0.5
ACCOUNT = """
id = "12345"
subdomain = "test"
quiet_seconds = 0
requests_per_second = 1000
"""


@dataclass
class Mesh:
    """A real conversation-service, a stub of it and a clock that the test moves."""

    stub: Any
    address: str
    accounts_dir: Path
    peers: Peers
    shift: timedelta = field(default_factory=timedelta)

    async def write(self, chat: str, *texts: str, kind: int = common.CONTENT_TYPE_TEXT) -> str:
        """Store messages of a client and return the conversation."""
        items = [
            service_pb.IngestItem(
                account_id="12345",
                chat_id=chat,
                talk_id="77",
                origin="waba",
                channel=common.CHANNEL_WHATSAPP,
                client_message=service_pb.ClientMessage(
                    kommo_message_id=f"{chat}-{text}",
                    text=text,
                    content_type=kind,
                    create_time=from_time(datetime.now(UTC) - timedelta(seconds=len(texts) - number)),
                ),
            )
            for number, text in enumerate(texts)
        ]
        response = await self.stub.IngestMessages(service_pb.IngestMessagesRequest(items=items))
        return str(response.results[0].conversation_id)

    async def messages(self, conversation_id: str) -> list[conv.Message]:
        """Return the messages of a conversation, the oldest first."""
        request = service_pb.ListMessagesRequest(conversation_id=conversation_id)
        return list(reversed((await self.stub.ListMessages(request)).messages))

    async def settled(self, conversation_id: str, count: int) -> list[conv.Message]:
        """Wait until so many client messages have an outcome and none is without; return all messages."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                messages = await self.messages(conversation_id)
                decided = [m.outcome for m in messages if m.role == common.ROLE_USER]
                if len(decided) >= count and all(decided):
                    return messages
                await asyncio.sleep(0.02)

    async def poll_of_the_dead_ended(self) -> None:
        """Return once a look that a killed worker still waited for is over: it could lease what ends meanwhile."""
        request = LeaseTurnsRequest(worker_id="test", max_turns=1, wait_duration=from_seconds(2 * POLL_SECONDS))
        async with open_channel(self.address, limit_seconds=LIMIT_SECONDS) as channel:
            assert not (await TurnServiceStub(channel).LeaseTurns(request)).turns

    @asynccontextmanager
    async def worker(self, **changed: Any) -> AsyncIterator["asyncio.Task[None]"]:
        """Run a worker while inside; a test may cancel it, as a kill would end it."""
        at = self.peers.address
        settings = WorkerSettings(
            **{
                "accounts_dir": self.accounts_dir,
                "conversation_address": self.address,
                "intent_address": at,
                "llm_address": at,
                "kommo_address": at,
                "lease_wait_seconds": POLL_SECONDS,
            }
            | changed
        )
        stop = asyncio.Event()
        task = asyncio.create_task(run_worker(settings, stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait((task,), timeout=LIMIT_SECONDS)
        assert task.cancelled() or task.exception() is None


@pytest.fixture
async def mesh(tmp_path: Path, peers: Peers) -> AsyncIterator[Mesh]:
    accounts_dir = tmp_path / "accounts"
    accounts_dir.mkdir()
    (accounts_dir / "test.toml").write_text(ACCOUNT)
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    await migrate(url)
    settings = ConversationSettings(port=0, drain_seconds=0, grace_seconds=1, accounts_dir=accounts_dir)
    drain = asyncio.Event()
    held: list[Mesh] = []
    async with (
        open_store(url, shift=lambda: held[0].shift if held else timedelta()) as store,
        built_services(store, load_accounts(accounts_dir, {}), settings, drain) as services,
        running_server(services, settings, drain=drain) as server,
    ):
        address = f"dns:///127.0.0.1:{server.port}"
        async with open_channel(address, limit_seconds=10) as channel:
            held.append(Mesh(ConversationServiceStub(channel), address, accounts_dir, peers))
            yield held[0]


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
