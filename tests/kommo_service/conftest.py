"""What the tests of kommo-service share: real HTTP peers, the simulator, and the service behind a real server."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kommo_service.__main__ import open_service
from kommo_service.adapters.kommo_http import KommoHttp, open_client
from kommo_service.adapters.rest import Rest
from kommo_service.adapters.talk_message import TalkMessage
from kommo_service.domain.limiter import Limiter
from kommo_service.settings import KommoSettings
from kommo_simulator import RunningSimulator, SimulatorSettings, running_simulator
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as pb_grpc
from kommomesh_runtime.accounts import Account, Accounts, ChannelConfig, SecretRef
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import running_server

SERVICE = "kommomesh.kommo.v1.KommoService"


@dataclass
class Exchange:
    """One request that a peer received, and the connection to answer on."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def answer(
        self, status: int, body: object = None, content_type: str = "application/json", **extra: str
    ) -> None:
        """Answer and keep the connection."""
        content = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await self.writer.drain()

    async def close(self) -> None:
        """End the connection without an answer."""
        self.writer.close()

    async def reset(self) -> None:
        """Break the connection off."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def hang(self) -> None:
        """Never answer."""


Behaviour = Callable[[Exchange], Awaitable[None]]


@dataclass
class Peer:
    """A real HTTP server that does what a test says, request by request."""

    url: str = ""
    script: list[Behaviour] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)

    def will(self, status: int, body: object = None, content_type: str = "application/json", **extra: str) -> None:
        """Answer the next request so."""
        self.script.append(lambda exchange: exchange.answer(status, body, content_type, **extra))

    def does(self, behaviour: Behaviour) -> None:
        """Meet the next request so."""
        self.script.append(behaviour)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                exchange = await _read_request(reader, writer)
                self.seen.append(exchange)
                behaviour = (
                    self.script.pop(0) if self.script else (lambda e: e.answer(500, "nothing scripted", "text/plain"))
                )
                await behaviour(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Exchange(method, target, headers, body, writer)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    found = Peer()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield found
    server.close()
    for exchange in found.seen:
        exchange.writer.close()
    await asyncio.sleep(0)


@dataclass
class Clock:
    """A time that moves only when told."""

    at: datetime = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """Return it."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def http_to() -> AsyncIterator[Callable[..., KommoHttp]]:
    """Make a `KommoHttp` to a URL, with a rate that does not matter unless the test says so."""
    async with open_client() as client:

        def make(url: str, clock: Clock | None = None, rate: float = 1000.0) -> KommoHttp:
            now = clock.now if clock else partial(datetime.now, UTC)
            return KommoHttp(client, url, "12345", Limiter(rate), now=now, jitter=lambda: 0.0)

        yield make


@pytest.fixture
def talk_message(peer: Peer, http_to: Callable[..., KommoHttp], clock: Clock) -> TalkMessage:
    """The transport against the scripted peer, as strict as against Kommo."""
    return TalkMessage(Rest(http_to(peer.url, clock), lambda: (SecretStr("token-1"),)), False, clock.now)


def simulated_account(simulator: RunningSimulator, account_id: str = "12345", **changes: Any) -> Account:
    settings = simulator.simulator.settings
    defaults: dict[str, Any] = {
        "id": account_id,
        "subdomain": "test",
        "kommo_base_url": simulator.url,
        "chats_base_url": simulator.url,
        "requests_per_second": 1000.0,
        "channel": ChannelConfig(scope_id=settings.scope_id, bot_id=settings.bot_id, code=settings.origin),
        "secrets": {
            "access_token": (SecretRef(value=settings.access_token),),
            "channel_secret": (SecretRef(value=settings.channel_secret),),
        },
    }
    return Account.model_validate({**defaults, **changes})


@pytest.fixture
def account_of() -> Callable[..., Account]:
    """Make the account that a simulator plays."""
    return simulated_account


@pytest.fixture
def simulated() -> Callable[..., Any]:
    """Run a simulator with the settings given, without limits unless they are."""

    @asynccontextmanager
    async def run(**changes: Any) -> AsyncIterator[RunningSimulator]:
        async with running_simulator(SimulatorSettings(**{"port": 0, "rate": 0, **changes})) as running:
            yield running

    return run


@pytest.fixture
async def simulator(simulated: Callable[..., Any]) -> AsyncIterator[RunningSimulator]:
    async with simulated() as running:
        yield running


@pytest.fixture
async def control(simulator: RunningSimulator) -> AsyncIterator[httpx.AsyncClient]:
    """The simulator's control API."""
    async with httpx.AsyncClient(base_url=simulator.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def served() -> Callable[..., Any]:
    """Serve kommo-service for some accounts on a real port and give a stub to it."""

    @asynccontextmanager
    async def serve(*accounts: Account, **settings: Any) -> AsyncIterator["pb_grpc.KommoServiceAsyncStub"]:
        chosen = KommoSettings(
            **{"port": 0, "drain_seconds": 0, "grace_seconds": 1, "kommo_settle_seconds": 0, **settings}
        )
        async with (
            open_service(chosen, Accounts.of(*accounts)) as service,
            running_server([service], chosen) as running,
            open_channel(f"dns:///127.0.0.1:{running.port}", services=(SERVICE,), limit_seconds=60) as channel,
        ):
            yield pb_grpc.KommoServiceStub(channel)

    return serve


@pytest.fixture
async def stub(simulator: RunningSimulator, served: Callable[..., Any], account_of: Callable[..., Any]) -> Any:
    async with served(account_of(simulator)) as found:
        yield found
