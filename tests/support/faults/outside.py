"""The accounts' own systems: what takes their alerts, and the relays of their own channels."""

import asyncio
import socket
from collections import deque
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
    """A server for all accounts.

    Args:
        url: where it listens.
        alerts: what it was told, in order.
        answers: by account, what its relay answers next, and whether it takes the message all the same.
        relayed: by account, the messages that its relay took, by their ids.
    """

    url: str = ""
    alerts: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, deque[tuple[int, bool]]] = field(default_factory=dict)
    relayed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def alert_url(self) -> str:
        return f"{self.url}/alerts"

    def relay_url(self, account_id: str) -> str:
        return f"{self.url}/relays/{account_id}"

    async def take_message(self, request: Request) -> Response:
        account_id, body = request.path_params["account_id"], await request.json()
        if body["type"] != "message":
            return Response(status_code=204)
        answers = self.answers.get(account_id)
        status, is_taken = answers.popleft() if answers else (204, True)
        if is_taken:
            self.relayed.setdefault(account_id, {})[body["id"]] = body
        return Response(status_code=status)

    async def take_alert(self, request: Request) -> Response:
        self.alerts.append(await request.json())
        return Response(status_code=204)


@asynccontextmanager
async def running_outside() -> AsyncIterator[Outside]:
    """Serve the account's own systems while inside."""
    outside = Outside()
    listener = socket.create_server(("127.0.0.1", 0))
    outside.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    alerts = Route("/alerts", outside.take_alert, methods=["POST"])
    app = Starlette(routes=[alerts, Route("/relays/{account_id}", outside.take_message, methods=["POST"])])
    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        try:
            yield outside
        finally:
            server.should_exit = True
