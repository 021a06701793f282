"""Puts the worker together and runs it, inside the web process or as a process of its own."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import grpc

from gateway.worker.circuit import Circuit
from gateway.worker.delivery import Deliverer
from gateway.worker.delivery_loop import delivery_loop
from gateway.worker.pace import Pace
from gateway.worker.settings import WorkerSettings
from gateway.worker.turn import Decider
from gateway.worker.turn_loop import TurnTaker, turn_loop
from kommomesh.conversation.v1.outbox_service_pb2_grpc import OutboxServiceStub
from kommomesh.conversation.v1.turn_service_pb2_grpc import TurnServiceStub
from kommomesh.intent.v1.intent_service_pb2_grpc import IntentServiceStub
from kommomesh.kommo.v1.channel_service_pb2_grpc import ChannelServiceStub
from kommomesh.kommo.v1.kommo_service_pb2_grpc import KommoServiceStub
from kommomesh.llm.v1.reply_service_pb2_grpc import ReplyServiceStub
from kommomesh_runtime.accounts import load_accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profiles import read_profiles
from kommomesh_runtime.server import running_server
from kommomesh_runtime.settings import ServerSettings
from kommomesh_runtime.telemetry import served_metrics

CONVERSATION_SERVICES = ("kommomesh.conversation.v1.TurnService", "kommomesh.conversation.v1.OutboxService")
INTENT_SERVICES = ("kommomesh.intent.v1.IntentService",)
LLM_SERVICES = ("kommomesh.llm.v1.ReplyService",)
KOMMO_SERVICES = ("kommomesh.kommo.v1.KommoService", "kommomesh.kommo.v1.ChannelService")

SHORT_LIMIT_SECONDS = 5.0
# Longer than any turn may take: the budget of the turn and the lease of the delivery are the real limits.
LONG_LIMIT_SECONDS = 30.0

log = get_logger()


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _channels(settings: WorkerSettings) -> AsyncIterator[tuple[grpc.aio.Channel, ...]]:
    """Open the channels to conversation-service, intent-service, llm-service and kommo-service, in this order."""
    targets = (
        (settings.conversation_address, CONVERSATION_SERVICES, SHORT_LIMIT_SECONDS),
        (settings.intent_address, INTENT_SERVICES, SHORT_LIMIT_SECONDS),
        (settings.llm_address, LLM_SERVICES, LONG_LIMIT_SECONDS),
        (settings.kommo_address, KOMMO_SERVICES, LONG_LIMIT_SECONDS),
    )
    async with AsyncExitStack() as stack:
        opened = [open_channel(at, services=names, limit_seconds=limit) for at, names, limit in targets]
        yield tuple([await stack.enter_async_context(channel) for channel in opened])


async def _set_hurry(pace: Pace, grace_seconds: float) -> None:
    await pace.stop.wait()
    await asyncio.sleep(grace_seconds)
    pace.hurry.set()


async def _run_loops(taker: TurnTaker, grace_seconds: float) -> None:
    """Run both loops until they have stopped and what they held is done or given back."""
    async with asyncio.TaskGroup() as group:
        timer = group.create_task(_set_hurry(taker.pace, grace_seconds))
        async with asyncio.TaskGroup() as loops:
            loops.create_task(turn_loop(taker).run())
            loops.create_task(delivery_loop(taker.deliverer).run())
        timer.cancel()


@asynccontextmanager
async def _health(settings: WorkerSettings) -> AsyncIterator[None]:
    """Serve health for probes while inside, where a port is set."""
    if settings.health_port == 0:
        yield
        return
    served = ServerSettings(
        host=settings.host,
        port=settings.health_port,
        health_port=0,
        drain_seconds=0.0,
        grace_seconds=settings.grace_seconds,
    )
    async with running_server([], served):
        yield


async def run_worker(settings: WorkerSettings, stop: asyncio.Event, now: Callable[[], datetime] = _now) -> None:
    """Take turns and deliver until `stop`, then finish or give back what is held.

    After `stop` nothing more is leased. What is held gets `settings.grace_seconds`; turns that are not decided by then
    are given back and come again at another worker.

    Args:
        settings: settings of the worker.
        stop: set by the owner of the process.
        now: returns the time.

    Raises:
        AccountsInvalid: an account file cannot be used.
    """
    accounts = load_accounts(settings.accounts_dir, os.environ)
    profiles = read_profiles(accounts)
    pace = Pace(stop=stop, hurry=asyncio.Event(), draw=random.random)
    async with _channels(settings) as (conversation, intent, llm, kommo):
        sender = KommoServiceStub(kommo)
        channels = ChannelServiceStub(kommo)
        deliverer = Deliverer(OutboxServiceStub(conversation), sender, channels, Circuit(), settings, pace, now)
        decider = Decider(
            IntentServiceStub(intent), ReplyServiceStub(llm), accounts, profiles, now, random.random, sender
        )
        taker = TurnTaker(TurnServiceStub(conversation), decider, deliverer, settings, pace, now)
        log.info("worker.started", worker_id=settings.worker_id, accounts=len(accounts))
        await _run_loops(taker, settings.grace_seconds)
        log.info("worker.stopped", worker_id=settings.worker_id)


async def serve_worker(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Run the worker as a process of its own: `run_worker` with metrics and health where ports are set.

    Raises:
        AccountsInvalid: an account file cannot be used.
    """
    with served_metrics(settings.host, settings.metrics_port):
        async with _health(settings):
            await run_worker(settings, stop)
