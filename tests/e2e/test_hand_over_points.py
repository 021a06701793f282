"""A hand-over cut off at each point of its way: before and after every request to Kommo, and around every report."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import select
from support.mesh import ACCOUNT, LIMIT_SECONDS, free_ports, until, write_accounts
from support.worker_peers import Peers, running_peers

from conversation_service.__main__ import built_services
from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.outbox_rows import find_delivery
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import DELIVERY_WORK
from conversation_service.migrate import migrate_sqlite
from conversation_service.settings import ConversationSettings
from gateway.worker.main import run_worker
from gateway.worker.settings import WorkerSettings
from kommo_service.__main__ import open_service
from kommo_service.settings import KommoSettings
from kommo_simulator import RunningSimulator, SimulatorSettings, running_simulator
from kommo_simulator.faults import FaultOrder, Match
from kommo_simulator.lines import ClientLine
from kommo_simulator.model import Chat
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from kommomesh.conversation.v1.outbox_service_pb2_grpc import OutboxServiceStub
from kommomesh_runtime.accounts import Accounts, load_accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import running_server
from kommomesh_runtime.settings import ServerSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Every request that a hand-over makes and every report: the first test holds these lists to what is seen.
REQUESTS = ("get_lead", "add_tasks", "add_notes", "patch_lead", "send_message")
REPORTS = ("task", "note", "lead_update", "notice")
OF_REQUEST = dict(zip(REQUESTS, ("task", "task", "note", "lead_update", "notice"), strict=True))
LANES = ("task", "note", "lead_update", "message")
# One note, one task, the tag, and one notice to the client.
WHOLE = (1, 1, ["persona"], 1)
# A lease of 30 s is over then.
LEASE_OVER = timedelta(seconds=31)
# A retry is due then, while a lease that lives on stays one.
BACKOFF_OVER = timedelta(seconds=2)


@dataclass
class Gate:
    """Where reports pass; the one that is named does not come through, or its answer does not come back."""

    point: tuple[str, str] | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    reports: list[str] = field(default_factory=list)

    async def hold(self, kind: str, when: str) -> None:
        if self.point == (kind, when):
            self.point = None
            self.reached.set()
            await asyncio.Event().wait()


@dataclass
class Stage:
    """Simulator, kommo-service and conversation-service with one clock, and a worker that can be killed."""

    kommo: RunningSimulator
    store: Store
    accounts: Accounts
    accounts_dir: Path
    outbox: Any
    conversations: Any
    peers: Peers
    clock: "Clock"
    gate: Gate = field(default_factory=Gate)
    kommo_port: int = 0
    kommo_process: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_kommo(self) -> None:
        """Start kommo-service, always at the same place."""
        settings = KommoSettings(accounts_dir=self.accounts_dir, kommo_settle_seconds=0)
        service = await self.kommo_process.enter_async_context(open_service(settings, self.accounts, self.clock.now))
        await self.kommo_process.enter_async_context(running_server([service], _server(self.kommo_port)))

    async def kill_kommo(self) -> None:
        """End kommo-service with all that it does."""
        await self.kommo_process.aclose()
        self.kommo_process = AsyncExitStack()

    @asynccontextmanager
    async def worker(self) -> AsyncIterator["asyncio.Task[None]"]:
        """Run a worker while inside; cancelled, it reports nothing more, as when it is killed."""
        settings = WorkerSettings(
            accounts_dir=self.accounts_dir,
            conversation_address=self.peers.address,
            intent_address=self.peers.address,
            llm_address=self.peers.address,
            kommo_address=f"dns:///127.0.0.1:{self.kommo_port}",
            lease_wait_seconds=0.5,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(run_worker(settings, stop))
        try:
            yield task
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await task

    async def calls_ended(self) -> None:
        """Return when nothing that a dead worker asked for is still under way."""

        async def look() -> bool:
            return self.gate.calls == 0

        await until(look)

    async def reported(self, kind: str) -> None:
        """Return when a report of such a delivery is stored."""

        async def look() -> bool:
            return kind in self.gate.reports

        await until(look)

    async def escalated(self) -> Chat:
        """Let a person be called in a new chat with a lead, and return the chat."""
        name = f"points-{uuid4().hex[:8]}"
        self.kommo.simulator.stage.client_writes(ClientLine(text="hola", chat_id=name))
        chat = self.kommo.simulator.world.chats[name]
        message = service_pb.ClientMessage(kommo_message_id=str(uuid4()), text="quiero una persona")
        item = service_pb.IngestItem(
            account_id=ACCOUNT,
            chat_id=name,
            talk_id=str(chat.talk_ids[-1]),
            lead_id=str(chat.lead_id),
            contact_id=str(chat.contact_id),
            client_message=message,
        )
        stored = await self.conversations.IngestMessages(service_pb.IngestMessagesRequest(items=[item]))
        request = service_pb.EscalateConversationRequest(
            conversation_id=stored.results[0].conversation_id, request_id=str(uuid4()), reason="asked"
        )
        await self.conversations.EscalateConversation(request)
        return chat

    def found(self, chat: Chat) -> tuple[int, int, list[str], int]:
        """Return how many notes and tasks Kommo has of a chat, its lead's tags, and how much the client was told."""
        world = self.kommo.simulator.world
        mine = {("leads", chat.lead_id), ("contacts", chat.contact_id)}
        notes = [one for one in world.notes.values() if (one.entity_type, one.entity_id) in mine]
        tasks = [one for one in world.tasks.values() if (one.entity_type, one.entity_id) in mine]
        assert chat.lead_id is not None
        told = [one for one in world.messages_of(chat) if one.is_outgoing]
        return len(notes), len(tasks), [tag["name"] for tag in world.leads[chat.lead_id].tags], len(told)

    async def done(self) -> None:
        """Return when nothing of a hand-over is left to do."""
        lanes = select(DELIVERY_WORK.c.lane).where(DELIVERY_WORK.c.lane.in_(LANES))

        async def look() -> bool:
            return not await self.store.read(lambda connection, _: connection.execute(lanes).all())

        await until(look)


@dataclass
class Clock:
    """The time of all of them, which a test may move on."""

    shift: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


def _server(port: int) -> ServerSettings:
    return ServerSettings(port=port, drain_seconds=0, grace_seconds=0)


def forwarded(stage: Stage) -> None:
    """Let the worker's calls to the outbox pass through the gate to the real one."""

    def counted(call: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def through(request: Any) -> Any:
            stage.gate.calls += 1
            try:
                return await call(request)
            finally:
                stage.gate.calls -= 1

        return through

    async def report(request: Any) -> Any:
        kind = await kind_of(stage, request.delivery_id)
        await stage.gate.hold(kind, "before")
        answer = await stage.outbox.ReportDelivery(request)
        stage.gate.reports.append(kind)
        await stage.gate.hold(kind, "after")
        return answer

    stage.peers.outbox.leases.usual = counted(stage.outbox.LeaseDeliveries)
    stage.peers.outbox.reports.usual = counted(report)


async def kind_of(stage: Stage, delivery_id: str) -> str:
    """Return what a delivery carries."""
    found = await stage.store.read(lambda connection, _: find_delivery(connection, UUID(delivery_id)))
    assert found is not None
    return found.kind.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("points")
    clock, drain = Clock(), asyncio.Event()
    migrate_sqlite(str(folder / "mesh.db"))
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        kommo = await enter(running_simulator(SimulatorSettings(port=0, rate=0), lambda: clock.now().timestamp()))
        accounts_dir = write_accounts(folder, kommo.url, 0)
        accounts = load_accounts(accounts_dir, {})
        store = await enter(open_store(f"sqlite:///{folder}/mesh.db", shift=lambda: clock.shift))
        settings = ConversationSettings(port=0, accounts_dir=accounts_dir, ingest_limit_seconds=10)
        services = await enter(built_services(store, accounts, settings, drain))
        server = await enter(running_server(services, _server(0), drain=drain))
        channel = await enter(open_channel(f"dns:///127.0.0.1:{server.port}", limit_seconds=30))
        outbox, conversations = OutboxServiceStub(channel), ConversationServiceStub(channel)
        peers = await enter(running_peers())
        built = Stage(kommo, store, accounts, accounts_dir, outbox, conversations, peers, clock)
        built.kommo_port = free_ports(1)[0]
        forwarded(built)
        await built.start_kommo()
        yield built
        await built.kill_kommo()


async def test_given_no_kill_when_handed_over_then_these_are_all_requests_and_reports(stage: Stage):
    before = len(stage.kommo.simulator.received)
    async with stage.worker():
        chat = await stage.escalated()
        await stage.done()
    assert stage.found(chat) == WHOLE
    seen = list(stage.kommo.simulator.received)[before:]
    assert sorted(one.operation for one in seen) == sorted(REQUESTS)
    assert sorted(stage.gate.reports) == sorted(REPORTS)


@pytest.mark.parametrize("victim", ["worker", "kommo"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", REQUESTS)
async def test_given_a_kill_at_a_request_when_all_is_done_then_kommo_has_one_note_and_one_task(
    stage: Stage, operation: str, when: str, victim: str
):
    simulator = stage.kommo.simulator
    simulator.faults.clear()
    simulator.faults.add(FaultOrder(action=f"timeout_{when}", match=Match(operation=operation)))
    marked = len(simulator.received)
    async with stage.worker() as running:
        chat = await stage.escalated()

        async def hangs() -> bool:
            return any(one.fault for one in list(simulator.received)[marked:]) and is_carried_out(stage, chat)

        def is_carried_out(stage: Stage, chat: Chat) -> bool:
            notes, tasks, tags, told = stage.found(chat)
            effects = {"add_notes": notes, "add_tasks": tasks, "patch_lead": tags, "send_message": told}
            return when == "before" or bool(effects.get(operation, True))

        await until(hangs)
        if victim == "worker":
            running.cancel()
        else:
            stage.gate.reports.clear()
            await stage.kill_kommo()
            await stage.start_kommo()
            await stage.reported(OF_REQUEST[operation])
            stage.clock.shift += BACKOFF_OVER
            await stage.done()
    if victim == "worker":
        await come_back(stage)
    assert stage.found(chat) == WHOLE


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", REPORTS)
async def test_given_a_kill_at_a_report_when_all_is_done_then_kommo_has_one_note_and_one_task(
    stage: Stage, kind: str, when: str
):
    stage.kommo.simulator.faults.clear()
    stage.gate.point, stage.gate.reached = (kind, when), asyncio.Event()
    async with stage.worker() as running:
        chat = await stage.escalated()
        async with asyncio.timeout(LIMIT_SECONDS):
            await stage.gate.reached.wait()
        running.cancel()
    await come_back(stage)
    assert stage.found(chat) == WHOLE


async def come_back(stage: Stage) -> None:
    """Let the leases of a dead worker end, and another one finish."""
    await stage.calls_ended()
    stage.clock.shift += LEASE_OVER
    async with stage.worker():
        await stage.done()
