"""A real HTTP server around the example relay, for the command and for tests."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from kommo_relay_example.relay import Relay, RelaySettings

MAX_BODY = 1_048_576
MESH_SECONDS = 10.0


class _Server(uvicorn.Server):
    """A server that leaves signals to its owner, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """A relay that listens at `url`, where the mesh posts to `relay_url`."""

    url: str
    port: int
    relay: Relay

    @property
    def relay_url(self) -> str:
        """What the account file names as `relay_url`."""
        return f"{self.url}/messages"


def create_app(relay: Relay) -> Starlette:
    """Return the application of a relay."""

    async def from_mesh(request: Request) -> Response:
        body = await _bounded(request)
        if body is None:
            return JSONResponse({"error": "too_large"}, 413)
        if not relay.admits(request.headers, body):
            return JSONResponse({"error": "unauthenticated"}, 401)
        try:
            return JSONResponse(relay.take(json.loads(body)))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Signed, and yet nothing that the mesh posts to relays.
            return JSONResponse({"error": "malformed"}, 400)

    async def shown(request: Request) -> Response:
        wanted = request.query_params.get("conversation_id")
        found = [one for one in relay.taken.values() if wanted in (None, one["conversation_id"])]
        return JSONResponse({"messages": found, "typing": relay.typing})

    async def from_client(request: Request) -> Response:
        answer = await relay.say(_message(await request.json()))
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def page(_request: Request) -> Response:
        return HTMLResponse((files("kommo_relay_example") / "page.html").read_text("utf-8"))

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/messages", from_mesh, methods=["POST"]),
            Route("/messages", shown, methods=["GET"]),
            Route("/say", from_client, methods=["POST"]),
        ]
    )


async def _bounded(request: Request) -> bytes | None:
    """Return the body; None as soon as it is too large, since whoever sends it has proved nothing yet."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _message(content: dict[str, Any]) -> dict[str, Any]:
    if content.get("type") == "status":
        return content
    # A messenger names each message; here nobody else does.
    return {"message_id": f"in-{uuid4()}", "timestamp": int(datetime.now(UTC).timestamp()), **content}


@contextlib.asynccontextmanager
async def running_relay(
    settings: RelaySettings, show: Callable[[str], None] = lambda _line: None
) -> AsyncIterator[RunningRelay]:
    """Serve a relay while inside.

    Args:
        settings: what it is told.
        show: shows a line to whoever runs it.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((settings.host, settings.port))
    async with httpx.AsyncClient(timeout=MESH_SECONDS, trust_env=False) as client:
        relay = Relay(settings, client, lambda: datetime.now(UTC), show)
        config = uvicorn.Config(
            create_app(relay), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none"
        )
        server = _Server(config)
        port: int = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="relay-server")
        await server.ready.wait()
        try:
            yield RunningRelay(f"http://{settings.host}:{port}", port, relay)
        finally:
            server.should_exit = True
            await serving
            listener.close()
