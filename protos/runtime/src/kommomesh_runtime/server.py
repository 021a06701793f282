"""The gRPC server of every service: health, reflection, limits and a stop that fails no call."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop
from google.protobuf.internal import api_implementation
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kommomesh_runtime.interceptors import ServerInterceptor
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.settings import ServerSettings
from kommomesh_runtime.telemetry import served_metrics

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second process on the port has to fail, not to take half of the calls
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)
READINESS_PERIOD_SECONDS = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a server: its full protobuf name, what registers its servicer, and names of others with it."""

    full_name: str
    register: Callable[[grpc.aio.Server], None]
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that it registers."""
        return (self.full_name, *self.others)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers: its port, its health and the event that says it is about to stop."""

    port: int
    health_port: int
    health: health.aio.HealthServicer
    drain: asyncio.Event


async def _set_health(servicer: health.aio.HealthServicer, names: Sequence[str], *, serving: bool) -> None:
    state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in names:
        await servicer.set(name, state)


async def _watch_readiness(
    servicer: health.aio.HealthServicer, names: Sequence[str], ready: Callable[[], Awaitable[bool]]
) -> None:
    known: bool | None = None
    while True:
        try:
            now = await ready()
        except Exception:  # the watch goes on: one that ended would leave its last word standing for ever
            log.exception("readiness.failed")
            now = False
        if now != known:
            known = now
            await _set_health(servicer, names, serving=now)
            log.info("readiness.changed", ready=now)
        await asyncio.sleep(READINESS_PERIOD_SECONDS)


def _build(
    services: Sequence[Service], settings: ServerSettings, servicer: health.aio.HealthServicer
) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[ServerInterceptor()],
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=settings.max_concurrent_calls,
    )
    for service in services:
        service.register(server)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if settings.reflection_enabled:
        names = [name for service in services for name in service.names]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server


async def _start_health(settings: ServerSettings, servicer: health.aio.HealthServicer) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{settings.host}:{settings.health_port}") if settings.health_port else 0
    await server.start()
    return server, port


@asynccontextmanager
async def running_server(
    services: Sequence[Service],
    settings: ServerSettings,
    *,
    ready: Callable[[], Awaitable[bool]] | None = None,
    drain: asyncio.Event | None = None,
) -> AsyncIterator[RunningServer]:
    """Serve while inside; on the way out tell clients first, then drain, then stop.

    Args:
        services: what to serve.
        settings: where and how.
        ready: whether this process can serve now; None means always. Asks no peer.
        drain: set when the server is about to stop, so that long polls end.
    """
    if api_implementation.Type() != "upb":
        raise RuntimeError("protobuf runs without its upb core, which is thirty times slower: reinstall protobuf")
    drain = drain or asyncio.Event()
    servicer = health.aio.HealthServicer()
    server = _build(services, settings, servicer)
    port = server.add_insecure_port(f"{settings.host}:{settings.port}")
    names = ["", "readiness", *(name for service in services for name in service.names)]
    await _set_health(servicer, ["liveness"], serving=True)
    await _set_health(servicer, names, serving=ready is None)
    watcher = asyncio.create_task(_watch_readiness(servicer, names, ready)) if ready else None
    health_server, health_port = await _start_health(settings, servicer)
    await server.start()
    log.info("server.started", port=port, services=[service.full_name for service in services])
    try:
        yield RunningServer(port, health_port, servicer, drain)
    finally:
        if watcher:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        await servicer.enter_graceful_shutdown()
        drain.set()
        await asyncio.sleep(settings.drain_seconds)
        await server.stop(settings.grace_seconds)
        await health_server.stop(None)
        log.info("server.stopped", port=port)


def stop_requested() -> asyncio.Event:
    """Return an event that is set when the process is asked to stop (SIGTERM or SIGINT)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    return stop


async def serve(
    services: Sequence[Service],
    settings: ServerSettings,
    *,
    ready: Callable[[], Awaitable[bool]] | None = None,
    drain: asyncio.Event | None = None,
) -> None:
    """Serve until the process is asked to stop; arguments as `running_server`."""
    stop = stop_requested()
    with served_metrics(settings.host, settings.metrics_port):
        async with running_server(services, settings, ready=ready, drain=drain):
            await stop.wait()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine of a process to its end, on the fast event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
