"""Bringing up the mesh of the fault table: all services in one process, with one Kommo for each account."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from support.faults.mesh import Clock, FaultMesh, Kommo, Order
from support.faults.outside import Outside, running_outside
from support.mesh import until
from support.worker_peers import LIMIT_SECONDS, running_peers

from conversation_service.__main__ import built_services
from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.store import Store
from conversation_service.migrate import migrate
from conversation_service.settings import ConversationSettings
from gateway.settings import GatewaySettings
from gateway.web import running_web
from gateway.worker.main import run_worker
from gateway.worker.settings import WorkerSettings
from kommo_service.__main__ import open_service
from kommo_service.settings import KommoSettings
from kommo_simulator import SimulatorSettings, running_simulator
from kommomesh.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from kommomesh_runtime.accounts import Accounts, load_accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

EVENTS = ["add_message", "add_outgoing_message"]
# Long for a busy machine: what times out though nothing is wrong is another case. Those that hang do it side by side.
ANSWER_SECONDS = 6.0
RELOAD_SECONDS = "0.5"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _account_file(order: Order, kommo: Kommo, web_url: str, outside: Outside) -> str:
    settings = kommo.settings
    names = ("scope_id", "channel_id", "amojo_id", "bot_id")
    fields: dict[str, Any] = {
        "id": kommo.account_id,
        "subdomain": settings.subdomain,
        "kommo_base_url": kommo.url,
        "chats_base_url": kommo.url,
        "requests_per_second": 500,
        "quiet_seconds": 0,
        "public_url": web_url,
        "handoff": {"alert_url": outside.alert_url},
        "integration_id": settings.client_uuid,
        "channel": {name: getattr(settings, name) for name in names} | {"code": settings.origin},
        **order.account,
    }
    secrets = {
        "webhook_secret": [kommo.webhook_secret],
        "access_token": [settings.access_token.get_secret_value()],
        "channel_secret": [settings.channel_secret.get_secret_value()],
        "client_secret": [settings.client_secret.get_secret_value()],
        "alert_secret": ["secret-of-the-alerts"],
        "relay_secret": [kommo.relay_secret],
        **order.secrets,
    }
    if order.relay is not None:
        fields["channel"] |= {"relay_url": outside.relay_url(kommo.account_id), "messenger": "whatsapp"}
        outside.answers[kommo.account_id] = deque(order.relay)
    fields["secrets"] = {
        name: [{"value": one.format(id=kommo.account_id)} for one in values] for name, values in secrets.items()
    }
    return "\n".join(f"{name} = {_toml(value)}" for name, value in fields.items())


def _kommo_settings(number: int, order: Order) -> SimulatorSettings:
    account_id = 70_001 + number
    usual = {
        "port": 0,
        "account_id": account_id,
        "subdomain": f"cuenta{account_id}",
        "access_token": SecretStr(f"token-of-account-{account_id}"),
        "rate": 0,
        "time_scale": 0.001,
        "webhook_timeout_seconds": 30,
        "chats_webhook_timeout_seconds": 30,
        "delivery_delay_seconds": 0.0,
        "raise_talk_events": False,
        "raise_unsorted": False,
    }
    return SimulatorSettings(**{**usual, **order.kommo})


async def _serve_kommo(
    settings: SimulatorSettings, clock: Clock, opened: "asyncio.Future[Kommo]", stop: asyncio.Event
) -> None:
    headers = {"Authorization": f"Bearer {settings.access_token.get_secret_value()}"}
    async with (
        running_simulator(settings, clock.unix) as running,
        httpx.AsyncClient(base_url=running.url, headers=headers, timeout=60) as client,
    ):
        opened.set_result(Kommo(str(settings.account_id), running, client))
        await stop.wait()


@asynccontextmanager
async def _running_kommos(orders: Sequence[Order], clock: Clock) -> AsyncIterator[list[Kommo]]:
    """Serve a Kommo for each order while inside; they stop side by side, because each takes its time."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    opened: list[asyncio.Future[Kommo]] = [loop.create_future() for _ in orders]
    async with asyncio.TaskGroup() as group:
        for number, order in enumerate(orders):
            group.create_task(_serve_kommo(_kommo_settings(number, order), clock, opened[number], stop))
        try:
            yield list(await asyncio.gather(*opened))
        finally:
            stop.set()


async def _connect(kommo: Kommo, web_url: str, conversations: Any) -> None:
    kommo.web_url, kommo.conversations = web_url, conversations
    destination = f"{web_url}/api/kommo/webhook/{kommo.webhook_secret}"
    await kommo.post("/api/v4/webhooks", {"destination": destination, "settings": EVENTS})


async def _served(stack: AsyncExitStack, services: Sequence[Service], drain: asyncio.Event | None = None) -> str:
    settings = ServerSettings(port=0, drain_seconds=0, grace_seconds=1)
    server = await stack.enter_async_context(running_server(services, settings, drain=drain))
    return f"dns:///127.0.0.1:{server.port}"


async def _opened_conversations(
    stack: AsyncExitStack, database: Path, accounts: Accounts, clock: Clock
) -> tuple[Store, str]:
    url = f"sqlite:///{database}"
    await migrate(url)
    settings, drain = ConversationSettings(port=0, ingest_limit_seconds=10), asyncio.Event()
    store = await stack.enter_async_context(open_store(url, shift=lambda: clock.shift))
    services = await stack.enter_async_context(built_services(store, accounts, settings, drain))
    return store, await _served(stack, services, drain)


@asynccontextmanager
async def _working(settings: WorkerSettings, clock: Clock) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(settings, stop, clock.now))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait((task,), timeout=LIMIT_SECONDS)
        task.cancel()


@asynccontextmanager
async def running_fault_mesh(folder: Path, orders: Sequence[Order]) -> AsyncIterator[FaultMesh]:
    """Run gateway, worker, conversation-service and kommo-service, and a Kommo for each account, while inside.

    What a message wants and what the bot says to it are told by the peers of the tests.
    """
    clock, accounts_dir = Clock(), folder / "accounts"
    accounts_dir.mkdir()
    # The edge has to be there first: the accounts name its address.
    accounts = load_accounts(accounts_dir, {"MESH_ACCOUNTS_RELOAD_SECONDS": RELOAD_SECONDS})
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers())
        outside = await stack.enter_async_context(running_outside())
        store, conversations = await _opened_conversations(stack, folder / "mesh.db", accounts, clock)
        kommos = await stack.enter_async_context(_running_kommos(orders, clock))
        web_url = await _opened_edge(stack, conversations, accounts, clock)
        for order, kommo in zip(orders, kommos, strict=True):
            (accounts_dir / f"{kommo.account_id}.toml").write_text(_account_file(order, kommo, web_url, outside))
        await until(lambda: _are_all_known(accounts, len(orders)), LIMIT_SECONDS)
        channel = await stack.enter_async_context(open_channel(conversations, limit_seconds=30))
        for kommo in kommos:
            await _connect(kommo, web_url, ConversationServiceStub(channel))
        settings = WorkerSettings(
            accounts_dir=accounts_dir,
            conversation_address=conversations,
            intent_address=peers.address,
            llm_address=peers.address,
            kommo_address=await _opened_sender(stack, accounts, clock),
            lease_wait_seconds=2.0,
        )
        await stack.enter_async_context(_working(settings, clock))
        mesh = FaultMesh(folder / "mesh.db", clock, store, peers, kommos, outside)
        await stack.enter_async_context(_looked_at(mesh))
        yield mesh


async def _opened_edge(stack: AsyncExitStack, conversations: str, accounts: Accounts, clock: Clock) -> str:
    settings = GatewaySettings(
        port=0,
        conversation_address=conversations,
        drain_seconds=0,
        grace_seconds=0,
        store_seconds=1.8,
        chats_store_seconds=4.5,
    )
    web = await stack.enter_async_context(running_web(settings, accounts, now=clock.now))
    return f"http://127.0.0.1:{web.port}"


async def _opened_sender(stack: AsyncExitStack, accounts: Accounts, clock: Clock) -> str:
    settings = KommoSettings(port=0, kommo_answer_seconds=ANSWER_SECONDS)
    service = await stack.enter_async_context(open_service(settings, accounts, clock.now, clock.steady))
    return await _served(stack, [service])


@asynccontextmanager
async def _looked_at(mesh: FaultMesh) -> AsyncIterator[None]:
    looking = asyncio.create_task(mesh.look_again_and_again())
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _are_all_known(accounts: Accounts, count: int) -> bool:
    return len(accounts) == count
