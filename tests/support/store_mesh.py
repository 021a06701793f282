"""A worker's world with the real conversation-service over SQLite, and the other services scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.worker_peers import LIMIT_SECONDS, Peers

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

    async def send(self, chat: str, message_id: str, **content: Any) -> service_pb.IngestResult:
        """Store one message of a client, now, and return what became of it."""
        content = {"create_time": from_time(datetime.now(UTC)), **content}
        item = service_pb.IngestItem(
            account_id="12345",
            chat_id=chat,
            talk_id="77",
            lead_id="7",
            origin="waba",
            channel=common.CHANNEL_WHATSAPP,
            client_message=service_pb.ClientMessage(kommo_message_id=message_id, **content),
        )
        return (await self.stub.IngestMessages(service_pb.IngestMessagesRequest(items=[item]))).results[0]

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


@asynccontextmanager
async def running_mesh(tmp_path: Path, peers: Peers) -> AsyncIterator[Mesh]:
    """Run conversation-service over a new database while inside."""
    accounts_dir = tmp_path / "accounts"
    accounts_dir.mkdir()
    (accounts_dir / "test.toml").write_text(ACCOUNT)
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    await migrate(url)
    settings = ConversationSettings(
        port=0, drain_seconds=0, grace_seconds=1, accounts_dir=accounts_dir, ingest_limit_seconds=10
    )
    drain = asyncio.Event()
    held: list[Mesh] = []
    async with (
        open_store(url, shift=lambda: held[0].shift if held else timedelta()) as store,
        built_services(store, load_accounts(accounts_dir, {}), settings, drain) as services,
        running_server(services, settings, drain=drain) as server,
    ):
        address = f"dns:///127.0.0.1:{server.port}"
        async with open_channel(address, limit_seconds=60) as channel:
            held.append(Mesh(ConversationServiceStub(channel), address, accounts_dir, peers))
            yield held[0]
