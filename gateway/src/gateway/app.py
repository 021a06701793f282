"""The web application: the hot webhook paths in plain ASGI, every other page through Starlette."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.adapters.bodies import ClientGone, header
from gateway.answers import Answer, Refused, send_answer
from gateway.metrics import REQUEST_SECONDS
from gateway.relay_hook import RelayHook
from gateway.salesbot import SalesbotHook
from gateway.status import StatusPages
from gateway.uninstall import Uninstalls
from gateway.webhooks import Webhooks
from kommomesh_runtime.logs import get_logger

WEBHOOK = "/api/kommo/webhook"
CHATS = "/api/kommo/chats/"
SALESBOT = "/api/kommo/salesbot/"
UNINSTALL = "/api/kommo/uninstall/"
CHANNEL = "/api/channel/"
PAGES = frozenset({"/", "/healthz", "/readyz"})
PROBES = frozenset({"/healthz", "/readyz"})
REQUEST_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
HUNG_UP = 499

log = get_logger()


@dataclass(frozen=True, slots=True)
class WebDeps:
    """What the application needs: handlers of webhooks, of an integration's hooks, of relays, and of status pages."""

    webhooks: Webhooks
    salesbot: SalesbotHook
    relay: RelayHook
    uninstalls: Uninstalls
    pages: StatusPages


@dataclass(slots=True)
class _Exchange:
    """What became of one request."""

    route: str
    status: int = HUNG_UP
    logged: dict[str, Any] = field(default_factory=dict)
    failure: BaseException | None = None


def route_of(path: str) -> str:
    """Return the name of a path for logs and metrics, without its secret; `other` when none of ours matches."""
    if path in PAGES:
        return path
    if path.rstrip("/") == WEBHOOK:
        return WEBHOOK
    if path.startswith(f"{WEBHOOK}/"):
        return f"{WEBHOOK}/{{secret}}"
    prefixes = {CHATS: "{scope_id}", SALESBOT: "{account}", UNINSTALL: "{account}", CHANNEL: "{account}"}
    return next((f"{prefix}{name}" for prefix, name in prefixes.items() if path.startswith(prefix)), "other")


async def _refusal_page(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    messages = {404: "There is nothing here.", 405: "This address takes another method."}
    code = codes.get(error.status_code, "refused")
    content = {"status": "error", "error": code, "message": messages.get(error.status_code, error.detail)}
    return JSONResponse(content, error.status_code, headers=error.headers)


class WebApp:
    """The ASGI application of the gateway.

    Args:
        webhooks: handlers of the hot paths.
        salesbot: handler of widget requests.
        relay: handler of what relays post.
        pages: the application that answers everything else.
    """

    def __init__(self, webhooks: Webhooks, salesbot: SalesbotHook, relay: RelayHook, pages: ASGIApp) -> None:
        self._webhooks = webhooks
        self._salesbot = salesbot
        self._relay = relay
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log one line about it."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        exchange = _Exchange(route_of(scope["path"]))
        try:
            await self._answer(scope, receive, send, exchange)
        except ClientGone:
            exchange.logged["error"] = "client_gone"
        except Exception as error:  # the edge: whatever fails is logged here and never shown
            exchange.failure = error
            await _send_failure(send, exchange)
        finally:
            _finish(scope, exchange, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        handler = self._hot(scope)
        if handler is None:
            await self.pages(scope, receive, _noting(send, exchange))
            return
        try:
            answer = await handler(scope, receive)
        except Refused as refused:
            answer = refused.answer()
        exchange.status = answer.status
        exchange.logged.update(answer.logged)
        await send_answer(send, answer)

    def _hot(self, scope: Scope) -> Callable[[Scope, Receive], Awaitable[Answer]] | None:
        path: str = scope["path"]
        if scope["method"] != "POST":
            return None
        if path.startswith(CHATS):
            return lambda scope, receive: self._webhooks.chats(scope, receive, path[len(CHATS) :].rstrip("/"))
        if path.startswith(SALESBOT):
            return lambda scope, receive: self._salesbot.take(scope, receive, path[len(SALESBOT) :].rstrip("/"))
        if path.startswith(CHANNEL):
            return lambda scope, receive: self._relay.take(scope, receive, path[len(CHANNEL) :].rstrip("/"))
        if path.rstrip("/") == WEBHOOK:
            return self._webhooks.guide
        if path.startswith(f"{WEBHOOK}/"):
            return lambda scope, receive: self._webhooks.crm(scope, receive, path[len(WEBHOOK) + 1 :].rstrip("/"))
        return None


def _noting(send: Send, exchange: _Exchange) -> Send:
    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
        await send(message)

    return noted


async def _send_failure(send: Send, exchange: _Exchange) -> None:
    if exchange.status != HUNG_UP:
        return
    refused = Refused(500, "internal_error", "The gateway failed; its log says why.")
    exchange.status = refused.status
    await send_answer(send, refused.answer())


def _finish(scope: Scope, exchange: _Exchange, seconds: float) -> None:
    REQUEST_SECONDS.labels(exchange.route, str(exchange.status)).observe(seconds)
    fields: Mapping[str, Any] = {
        "method": scope["method"],
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(seconds, 4),
        **exchange.logged,
    }
    request_id = header(scope, b"x-amocrm-requestid")
    if REQUEST_ID.fullmatch(request_id):
        fields = {**fields, "kommo_request_id": request_id}
    if exchange.failure is not None:
        log.error("request.failed", exc_info=exchange.failure, **fields)
    elif exchange.route in PROBES:
        log.debug("request.finished", **fields)
    else:
        log.info("request.finished", **fields)


def create_app(deps: WebDeps) -> WebApp:
    """Return the application; its resources are opened and closed by the caller."""
    routes = [*deps.pages.routes(), *deps.uninstalls.routes()]
    pages = Starlette(routes=routes, exception_handlers={HTTPException: _refusal_page})
    return WebApp(deps.webhooks, deps.salesbot, deps.relay, pages)
