"""A running simulator, a client for it, and a receiver of webhooks, all on real ports."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.server import RunningSimulator, Server, running_simulator
from kommo_simulator.settings import LOCAL_TOKEN, SimulatorSettings


@dataclass(frozen=True)
class Hook:
    """One webhook as it was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def kind(self) -> str:
        keys = (name.split("][")[0] for name in self.fields if not name.startswith("account"))
        return next(keys).replace("[", ".").rstrip("]")


@dataclass
class Receiver:
    """A server that takes webhooks, answering with `statuses` first and 200 afterwards."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def of(self, kind: str) -> list[Hook]:
        return [hook for hook in self.hooks if hook.kind == kind]

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(is_true)

    async def serve(self, request: Request) -> Response:
        hook = Hook(request.url.path, dict(request.headers), await request.body())
        status = self.statuses.pop(0) if self.statuses else 200
        async with self.changed:
            self.hooks.append(hook)
            self.changed.notify_all()
        await self.gate.wait()
        return Response(status_code=status)


@contextlib.asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a port of the kernel's choice; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True


@pytest.fixture
def served_app() -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[str]]:
    return serving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.gate.set()
    async with serving(Starlette(routes=[Route("/{path:path}", receiver.serve, methods=["POST"])])) as url:
        receiver.url = f"{url}/hooks/secret"
        yield receiver
        receiver.gate.set()


@dataclass
class Kommo:
    """A running simulator with a client that carries its token."""

    running: RunningSimulator
    client: httpx.AsyncClient

    async def play(self, text: str = "Hola", **line: Any) -> dict[str, Any]:
        answer = await self.client.post("/control/client-messages", json={"text": text, **line})
        assert answer.status_code == 201, answer.text
        played: dict[str, Any] = answer.json()
        return played

    async def send(self, talk_id: int, text: str = "Buenas", **options: Any) -> httpx.Response:
        return await self.client.post(f"/api/v4/talks/{talk_id}/send_message", json={"text": text}, **options)

    async def fault(self, action: str, **order: Any) -> None:
        order.setdefault("match", {"operation": "send_message"})
        answer = await self.client.post("/control/faults", json={"action": action, **order})
        assert answer.status_code == 201, answer.text

    async def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.client.get("/control/deliveries", params=query)
        found: list[dict[str, Any]] = answer.json()["deliveries"]
        return found

    async def webhooks(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/control/webhooks")).json()
        return found

    async def quiet(self) -> dict[str, Any]:
        """Return the webhook log once nothing is left to send."""
        async with asyncio.timeout(60):
            while (found := await self.webhooks())["pending"]:
                await asyncio.sleep(0.01)  # the other side can only be asked
        return found

    async def eventually(self, path: str, is_true: Callable[[Any], bool]) -> Any:
        """Return the answer of `path` once it satisfies the condition."""
        async with asyncio.timeout(60):
            while not is_true(found := (await self.client.get(path)).json()):
                await asyncio.sleep(0.01)  # the other side can only be asked
        return found


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    """Start simulators with the settings a test names."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(**settings: Any) -> Kommo:
            defaults = {"port": 0, "rate": 0, "time_scale": 0.0001, "delivery_delay_seconds": 0.0}
            running = await stack.enter_async_context(running_simulator(SimulatorSettings(**(defaults | settings))))
            headers = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
            client = httpx.AsyncClient(base_url=running.url, headers=headers, timeout=60)
            return Kommo(running, await stack.enter_async_context(client))

        yield started
