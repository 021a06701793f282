"""The account's own systems: what takes its alerts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.server import Server


@dataclass
class Outside:
    """A server that takes alerts of all accounts.

    Args:
        url: where it listens.
        alerts: what it was told, in order.
    """

    url: str = ""
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def alert_url(self) -> str:
        return f"{self.url}/alerts"

    async def take_alert(self, request: Request) -> Response:
        self.alerts.append(await request.json())
        return Response(status_code=204)


@asynccontextmanager
async def running_outside() -> AsyncIterator[Outside]:
    """Serve the account's own systems while inside."""
    outside = Outside()
    listener = socket.create_server(("127.0.0.1", 0))
    outside.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=[Route("/alerts", outside.take_alert, methods=["POST"])])
    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        try:
            yield outside
        finally:
            server.should_exit = True
