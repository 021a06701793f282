"""The pages that say how the gateway is: status, probes and the landing page."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.adapters.authentication import Keyring
from gateway.adapters.peer_health import PeerHealth
from gateway.uninstall import Uninstalls


@dataclass(slots=True)
class Drain:
    """Whether the process is about to stop and wants no new work."""

    is_draining: bool = False


@cache
def _page() -> Template:
    return Template((files("gateway.pages") / "landing.html").read_text("utf-8"))


@cache
def _texts() -> dict[str, str]:
    return tomllib.loads((files("gateway.pages") / "texts.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class StatusPages:
    """Handlers of the pages that say how the gateway is.

    Args:
        health: asks conversation-service.
        keyring: the accounts.
        drain: whether the process is about to stop.
        has_worker: whether the worker runs in this process.
        now: the time, aware.
        uninstalls: the accounts that the integration was taken out of.
    """

    health: PeerHealth
    keyring: Keyring
    drain: Drain
    has_worker: bool
    now: Callable[[], datetime]
    uninstalls: Uninstalls

    async def status(self, _request: Request) -> Response:
        """Answer 200 when webhooks can be stored, asked of conversation-service just now, or else 503."""
        conversation = await self.health.state()
        is_well = conversation == "serving" and not self.drain.is_draining
        content = {
            "status": "ok" if is_well else "degraded",
            "timestamp": self.now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "checks": {
                "conversation_service": conversation,
                "draining": self.drain.is_draining,
                "accounts_uninstalled": len(self.uninstalls.accounts),
            },
        }
        return JSONResponse(content, 200 if is_well else 503)

    async def healthz(self, _request: Request) -> Response:
        """Answer 200: the loop turns. No peer is asked."""
        return PlainTextResponse("ok")

    async def readyz(self, _request: Request) -> Response:
        """Answer 200 while this process takes requests, 503 once it drains. No peer is asked."""
        return PlainTextResponse("draining", 503) if self.drain.is_draining else PlainTextResponse("ready")

    async def probe(self, _request: Request) -> Response:
        """Answer 200 to Kommo's settings page, which looks whether the URL answers."""
        return PlainTextResponse("ok")

    async def landing(self, _request: Request) -> Response:
        """Answer a page for people, with what this process knows and no more."""
        texts = _texts()
        page = _page().substitute(
            conversation=texts[await self.health.state()],
            worker=texts["yes" if self.has_worker else "no"],
            accounts=len(self.keyring.accounts),
            guide=texts["yes" if self.keyring.takes_guide else "no"],
            uninstalled=len(self.uninstalls.accounts),
        )
        return HTMLResponse(page)

    def routes(self) -> list[Route]:
        """Return the routes of these pages."""
        return [
            Route("/", self.landing, methods=["GET"]),
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/api/kommo/webhook", self.status, methods=["GET"]),
            Route("/api/kommo/webhook/{rest:path}", self.probe, methods=["GET"]),
            Route("/api/kommo/chats/{rest:path}", self.probe, methods=["GET"]),
            Route("/api/kommo/salesbot/{rest:path}", self.probe, methods=["GET"]),
        ]
