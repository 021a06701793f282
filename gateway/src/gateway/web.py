"""Runs the web half: opens what it needs, serves, and stops without failing a request."""

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import uvicorn

from gateway.adapters.authentication import Keyring
from gateway.adapters.bodies import BodyLimits
from gateway.adapters.http_protocol import bounded_protocol
from gateway.adapters.ingest import CoalescerLimits, IngestCoalescer, running_coalescer
from gateway.adapters.peer_health import CONVERSATION_SERVICE, PeerHealth
from gateway.app import WebApp, WebDeps, create_app
from gateway.relay_hook import RelayHook
from gateway.salesbot import SalesbotHook
from gateway.settings import GatewaySettings
from gateway.status import Drain, StatusPages
from gateway.uninstall import Uninstalls
from gateway.webhooks import StoreSeconds, Webhooks
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as service_grpc
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import served_metrics

log = get_logger()


def _now() -> datetime:
    return datetime.now(UTC)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _IntoOurLog(logging.Handler):
    """Carries uvicorn's own reports, which hold no request data, into our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("server.reported", problem=record.getMessage())


@dataclass(frozen=True, slots=True)
class RunningWeb:
    """A web half that answers."""

    port: int
    drain: Drain


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(f"cannot listen on {host}:{port} ({error.strerror}); MESH_PORT names another port") from None
    sock.listen(2_048)
    sock.setblocking(False)
    return sock


def _build(
    settings: GatewaySettings,
    keyring: Keyring,
    channel: grpc.aio.Channel,
    coalescer: IngestCoalescer,
    *,
    drain: Drain,
    has_worker: bool,
    now: Callable[[], datetime],
) -> WebApp:
    webhooks = Webhooks(
        keyring=keyring,
        coalescer=coalescer,
        limits=BodyLimits(settings.body_limit_bytes, settings.body_seconds),
        seconds=StoreSeconds(settings.store_seconds, settings.chats_store_seconds),
        now=now,
    )
    uninstalls = Uninstalls(keyring)
    pages = StatusPages(PeerHealth(channel, time.monotonic), keyring, drain, has_worker, now, uninstalls)
    salesbot = SalesbotHook(webhooks, settings.salesbot_wait_seconds)
    return create_app(WebDeps(webhooks, salesbot, RelayHook(webhooks), uninstalls, pages))


def _config(settings: GatewaySettings, app: WebApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=bounded_protocol(settings.header_limit_bytes, settings.request_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connection_limit,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )


def _tell_what_is_closed(keyring: Keyring) -> None:
    for account in keyring.accounts:
        closed = keyring.closed_webhooks(account)
        if closed:
            log.warning("webhooks.closed", account_id=account.id, closed=closed)


@contextmanager
def _reports_logged() -> Iterator[None]:
    logger = logging.getLogger("uvicorn.error")
    handler = _IntoOurLog(level=logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)


@asynccontextmanager
async def _serving(config: uvicorn.Config, sock: socket.socket) -> AsyncIterator[None]:
    server = _Server(config)
    with _reports_logged():
        task = asyncio.create_task(server.serve(sockets=[sock]), name="web-server")
        try:
            await server.is_listening.wait()
            yield
        finally:
            server.should_exit = True
            await task
            sock.close()


@asynccontextmanager
async def running_web(
    settings: GatewaySettings,
    accounts: Accounts,
    *,
    environ: Mapping[str, str] | None = None,
    has_worker: bool = False,
    now: Callable[[], datetime] = _now,
) -> AsyncIterator[RunningWeb]:
    """Serve HTTP while inside; on the way out say so to probes first, then finish open requests.

    Args:
        settings: where and how; port 0 lets the kernel pick one.
        accounts: whose webhooks are taken.
        environ: where secrets by variable are; the process's own by default.
        has_worker: whether the worker runs in this process, for the status page.
        now: the time, aware.
    """
    drain = Drain()
    keyring = Keyring(accounts, os.environ if environ is None else environ, time.monotonic)
    async with (
        open_channel(settings.conversation_address, services=(CONVERSATION_SERVICE,)) as channel,
        _coalescer(settings, channel) as coalescer,
    ):
        app = _build(settings, keyring, channel, coalescer, drain=drain, has_worker=has_worker, now=now)
        sock = _bind(settings.host, settings.port)
        async with _serving(_config(settings, app), sock):
            port = sock.getsockname()[1]
            log.info("server.started", service="gateway", port=port, accounts=len(accounts))
            _tell_what_is_closed(keyring)
            try:
                yield RunningWeb(port, drain)
            finally:
                drain.is_draining = True
                await asyncio.sleep(settings.drain_seconds)
        log.info("server.stopped", service="gateway", port=port)


@asynccontextmanager
async def _coalescer(settings: GatewaySettings, channel: grpc.aio.Channel) -> AsyncIterator[IngestCoalescer]:
    stub = service_grpc.ConversationServiceStub(channel)
    async with running_coalescer(stub.IngestMessages, CoalescerLimits(waiting=settings.waiting_limit)) as coalescer:
        yield coalescer


async def run_web(settings: GatewaySettings, accounts: Accounts, stop: asyncio.Event, *, has_worker: bool) -> None:
    """Serve until `stop` is set."""
    with served_metrics(settings.host, settings.metrics_port):
        async with running_web(settings, accounts, has_worker=has_worker):
            await stop.wait()
