"""The application: routes, gate, faults, and the lifetime of what runs behind them."""

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from kommo_simulator import (
    chats_api,
    control,
    control_account,
    control_installation,
    control_play,
    rest_account,
    rest_bots,
    rest_contact_chats,
    rest_crm,
    rest_media,
    rest_talks,
    salesbot,
)
from kommo_simulator.answers import on_problem
from kommo_simulator.background import Background
from kommo_simulator.dated import Dated
from kommo_simulator.faults import FaultyEdge
from kommo_simulator.guard import Guard
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.simulator import Simulator

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(
    settings: SimulatorSettings,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Starlette:
    """Return the simulator's application; `app.state.simulator` holds its `Simulator`.

    Args:
        now: returns unix seconds.
        clock: returns seconds that only grow, for the request limit.
        new_id: returns a fresh UUID.
    """
    simulator = Simulator(settings, now, clock, new_id)
    routes = _routes()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # Kept shorter than the 5 s of common servers, so that no webhook meets a connection that just closed.
        connector = aiohttp.TCPConnector(limit=settings.webhook_concurrency + 8, keepalive_timeout=3)
        client = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with client as session, Background() as background:
            simulator.open(background, session)
            yield

    edge = Middleware(
        FaultyEdge,
        faults=simulator.faults,
        received=simulator.received,
        operation_of=lambda scope: _operation_of(routes, scope),
        now=now,
    )
    dated = Middleware(Dated, now=simulator.now)
    guard = Middleware(
        Guard,
        limit=simulator.rate_limit,
        token=settings.access_token.get_secret_value(),
        is_withdrawn=lambda: simulator.is_uninstalled,
    )
    app = Starlette(
        routes=routes,
        middleware=[dated, edge, guard],
        exception_handlers={HTTPException: on_problem},
        lifespan=lifespan,
    )
    app.state.simulator = simulator
    return app


def _routes() -> list[BaseRoute]:
    return [
        *rest_talks.ROUTES,
        *rest_contact_chats.ROUTES,
        *rest_crm.ROUTES,
        *rest_media.ROUTES,
        *rest_account.ROUTES,
        *rest_bots.ROUTES,
        *salesbot.ROUTES,
        *chats_api.ROUTES,
        *control.ROUTES,
        *control_play.ROUTES,
        *control_account.ROUTES,
        *control_installation.ROUTES,
        Route("/", _page_file("index.html"), methods=["GET"], name="page"),
        Route("/page.css", _page_file("page.css"), methods=["GET"], name="page_style"),
        Route("/icon.svg", _page_file("icon.svg"), methods=["GET"], name="page_icon"),
        Route("/page.js", _page_file("page.js"), methods=["GET"], name="page_script"),
    ]


def _page_file(name: str) -> Callable[[Request], Response]:
    def serve(_request: Request) -> Response:
        return FileResponse(PAGE / name, headers=PAGE_HEADERS)

    return serve


def _operation_of(routes: list[BaseRoute], scope: Scope) -> str:
    for route in routes:
        if route.matches(scope)[0] is Match.FULL:
            return str(getattr(route, "name", ""))
    return ""
