"""The whole mesh in one process: the same servicers and loops, called directly instead of over gRPC."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import grpc
from local_web import serve_web

from conversation_service.__main__ import built_services, opened_store
from conversation_service.settings import ConversationSettings
from gateway.adapters.ingest import CoalescerLimits, running_coalescer
from gateway.settings import GatewaySettings
from gateway.worker.circuit import Circuit
from gateway.worker.delivery import Deliverer
from gateway.worker.delivery_loop import delivery_loop
from gateway.worker.pace import Pace
from gateway.worker.settings import WorkerSettings
from gateway.worker.turn import Decider
from gateway.worker.turn_loop import TurnTaker, turn_loop
from intent_service.adapters.assembly import build_analyzer
from intent_service.adapters.profiles import Profiles as IntentProfiles
from intent_service.adapters.rule_files import read_borders
from intent_service.domain.escalation import Thresholds
from intent_service.servicer import SERVICE as INTENT_SERVICE
from intent_service.servicer import IntentServicer
from intent_service.settings import IntentSettings
from kommo_service.__main__ import open_service
from kommo_service.settings import KommoSettings
from kommomesh.intent.v1 import intent_service_pb2_grpc
from kommomesh_runtime.accounts import Accounts, load_accounts
from kommomesh_runtime.errors import MeshError, RemoteError
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.profiles import Profiles
from kommomesh_runtime.server import Service, run, stop_requested
from llm_service.__main__ import services as llm_services
from llm_service.adapters.library import Library
from llm_service.use_cases import ReplyWriter


class LocalServer:
    """Takes what services register, as a gRPC server would, and calls it directly."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._methods: dict[str, Mapping[str, grpc.RpcMethodHandler]] = {}
        for service in services:
            service.register(cast(grpc.aio.Server, self))

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Take nothing: the registered handlers say the same."""

    def add_registered_method_handlers(self, name: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """Take the methods of a service."""
        self._methods[name] = handlers

    def stub(self, name: str) -> Any:
        """Return what looks like a stub of a service."""
        return LocalStub(self._methods[name])


class LocalStub:
    """Calls the methods of a servicer of this process.

    Args:
        methods: its methods by name.
    """

    def __init__(self, methods: Mapping[str, grpc.RpcMethodHandler]) -> None:
        for name, handler in methods.items():
            setattr(self, name, partial(_call, handler.unary_unary))


async def _call(behaviour: Callable[..., Awaitable[Any]], request: Any, *, timeout: float | None = None) -> Any:
    try:
        return await behaviour(request, None)
    except MeshError as error:
        raise RemoteError(error.code, error.reason, error.metadata, str(error), error.retry_after) from error


async def _intent(accounts: Accounts) -> Service:
    settings = IntentSettings()
    thresholds = Thresholds(settings.human_request_threshold, settings.complaint_threshold, settings.decision_threshold)
    analyzer = build_analyzer(thresholds)
    profiles = IntentProfiles(accounts, analyzer)
    await profiles.refresh()
    servicer = IntentServicer(analyzer, profiles, read_borders())
    return Service(INTENT_SERVICE, partial(intent_service_pb2_grpc.add_IntentServiceServicer_to_server, servicer))


async def _services(stack: AsyncExitStack, accounts: Accounts, drain: asyncio.Event) -> list[Service]:
    # What answers at the other end keeps no record to look into.
    conversation = ConversationSettings(proof_first_seconds=3600, proof_second_seconds=3600, proof_last_seconds=3600)
    store = await stack.enter_async_context(opened_store(conversation))
    stored = await stack.enter_async_context(built_services(store, accounts, conversation, drain))
    kommo = await stack.enter_async_context(open_service(KommoSettings(), accounts))
    library = Library(accounts)
    await library.refresh()
    return [*stored, kommo, *llm_services(library, ReplyWriter(library, None)), await _intent(accounts)]


def _taker(server: LocalServer, accounts: Accounts, stop: asyncio.Event) -> TurnTaker:
    def now() -> datetime:
        return datetime.now(UTC)

    settings, profiles = WorkerSettings(), Profiles()
    pace = Pace(stop=stop, hurry=stop, draw=random.random)
    conversation = "kommomesh.conversation.v1"
    deliverer = Deliverer(
        server.stub(f"{conversation}.OutboxService"),
        server.stub("kommomesh.kommo.v1.KommoService"),
        server.stub("kommomesh.kommo.v1.ChannelService"),
        Circuit(),
        settings,
        pace,
        now,
    )
    decider = Decider(
        server.stub(INTENT_SERVICE),
        server.stub("kommomesh.llm.v1.ReplyService"),
        accounts,
        profiles,
        now,
        random.random,
        server.stub("kommomesh.kommo.v1.KommoService"),
    )
    return TurnTaker(server.stub(f"{conversation}.TurnService"), decider, deliverer, settings, pace, now)


async def _main() -> None:
    settings = GatewaySettings()
    configure_logging(settings)
    accounts = load_accounts(settings.accounts_dir, os.environ)
    stop = stop_requested()
    async with AsyncExitStack() as stack:
        server = LocalServer(await _services(stack, accounts, stop))
        ingest = server.stub("kommomesh.conversation.v1.ConversationService").IngestMessages
        limits = CoalescerLimits(waiting=settings.waiting_limit)
        coalescer = await stack.enter_async_context(running_coalescer(ingest, limits))
        taker = _taker(server, accounts, stop)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve_web(settings, accounts, coalescer, stop))
            group.create_task(turn_loop(taker).run())
            group.create_task(delivery_loop(taker.deliverer).run())


if __name__ == "__main__":
    run(_main())
