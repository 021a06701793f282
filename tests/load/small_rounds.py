"""Small figures: one analysis, the start of intent-service, and leases beside many idle conversations."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from figures import latency_cells, ratio_line, ratios, spread
from stack import lone_service, resident_megabytes
from webhook_bodies import ACCOUNT_ID, TEXTS
from webhook_rounds import Plan

from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from kommomesh.conversation.v1.turn_service_pb2 import LeaseTurnsRequest
from kommomesh.conversation.v1.turn_service_pb2_grpc import TurnServiceStub
from kommomesh.intent.v1.intent_service_pb2 import AnalyzeMessageRequest
from kommomesh.intent.v1.intent_service_pb2_grpc import IntentServiceStub
from kommomesh_runtime.channel import open_channel

MESSAGES = Path(__file__).parents[1] / "eval" / "messages.jsonl"
FEW_CHATS = 1_000
ITEMS_A_CALL = 500
LEASE_TARGETS = "at 10⁶ ÷ 10³: floor 1.5, aim 1.1"
CONVERSATION_SERVICES = ("kommomesh.conversation.v1.ConversationService", "kommomesh.conversation.v1.TurnService")


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    begin = time.perf_counter()
    await call()
    return time.perf_counter() - begin


async def measure_analysis(folder: Path, plan: Plan) -> str:
    """Return lines about intent-service: its start, its memory, and one analysis after the other."""
    async with (
        lone_service("intent", folder) as (stack, address),
        open_channel(address, services=("kommomesh.intent.v1.IntentService",)) as channel,
    ):
        stub = IntentServiceStub(channel)
        requests = [AnalyzeMessageRequest(text=text, account_id=ACCOUNT_ID, locale="es-AR") for text in TEXTS]
        for request in requests:
            await stub.AnalyzeMessage(request)
        repeats = max(1, plan.calls // len(TEXTS))
        taken = [await _timed(partial(stub.AnalyzeMessage, request)) for request in requests * repeats]
        p50, p99 = latency_cells(taken)
        memory = resident_megabytes(stack.running["intent"].pid)
    return (
        f"intent-service: serves {stack.ready_seconds['intent']:.1f} s after its start, holds {memory:.0f} MB\n"
        f"  AnalyzeMessage over gRPC, one at a time: p50 {p50} ms, p99 {p99} ms ({len(taken)} calls)"
    )


async def measure_core() -> str:
    """Return what intent-service measures of itself on one core, without gRPC, over the project's own messages."""
    command = (sys.executable, "-m", "intent_service.cli", "bench", str(MESSAGES))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("intent-service could not be measured on one core")
    return f"intent-service on one core, without gRPC\n{printed.decode().rstrip()}"


class Shelf:
    """A conversation-service with idle conversations, and what asks it for turns.

    Args:
        conversations: stub that stores.
        turns: stub that leases.
    """

    def __init__(self, conversations: Any, turns: Any) -> None:
        self._conversations = conversations
        self._turns = turns
        self._number = 0
        self.leases: list[float] = []
        self.polls: list[float] = []

    async def _store(self, items: Sequence[service_pb.IngestItem]) -> None:
        response = await self._conversations.IngestMessages(service_pb.IngestMessagesRequest(items=items), timeout=20)
        if any(result.outcome != service_pb.INGEST_OUTCOME_STORED for result in response.results):
            raise RuntimeError("an item was not stored")

    async def fill(self, count: int) -> None:
        """Store conversations in which nothing is to be done."""
        for first in range(0, count, ITEMS_A_CALL):
            await self._store([_idle_item(n) for n in range(first, min(count, first + ITEMS_A_CALL))])

    async def measure(self, calls: int) -> None:
        """Lease so many turns one at a time, then ask as often when none is due; keep the medians."""
        await self._store([_due_item(self._number + n) for n in range(calls)])
        self._number += calls
        self.leases.append(spread([await self._lease(1) for _ in range(calls)]).middle)
        self.polls.append(spread([await self._lease(0) for _ in range(calls)]).middle)

    async def _lease(self, expected: int) -> float:
        request = LeaseTurnsRequest(worker_id="load", max_turns=1)
        begin = time.perf_counter()
        response = await self._turns.LeaseTurns(request)
        taken = time.perf_counter() - begin
        if len(response.turns) != expected:
            raise RuntimeError(f"{len(response.turns)} turns were leased instead of {expected}")
        return taken


def _item(chat: str) -> service_pb.IngestItem:
    return service_pb.IngestItem(
        account_id=ACCOUNT_ID, chat_id=chat, talk_id="7", origin="waba", channel=common_pb2.CHANNEL_WHATSAPP
    )


def _idle_item(number: int) -> service_pb.IngestItem:
    item = _item(f"idle-{number}")
    item.company_message.kommo_message_id = f"idle-{number}"
    item.company_message.text = "Gracias por escribirnos"
    item.company_message.author_kind = service_pb.AUTHOR_KIND_BOT
    return item


def _due_item(number: int) -> service_pb.IngestItem:
    item = _item(f"due-{number}")
    item.client_message.kommo_message_id = f"due-{number}"
    item.client_message.text = TEXTS[0]
    return item


async def _shelf(stack: AsyncExitStack, folder: Path, chats: int) -> Shelf:
    _, address = await stack.enter_async_context(lone_service("conversation", folder))
    channel = await stack.enter_async_context(open_channel(address, services=CONVERSATION_SERVICES))
    shelf = Shelf(ConversationServiceStub(channel), TurnServiceStub(channel))
    await shelf.fill(chats)
    return shelf


async def measure_leases(folder: Path, plan: Plan) -> str:
    """Return lines about leases and empty polls beside few and beside many idle conversations."""
    async with AsyncExitStack() as stack:
        few = await _shelf(stack, folder / "few", FEW_CHATS)
        many = await _shelf(stack, folder / "many", plan.idle_chats)
        for _ in range(plan.rounds):
            for shelf in (few, many):
                await shelf.measure(max(1, plan.calls // plan.rounds))
    what = f"{plan.idle_chats:,} ÷ {FEW_CHATS:,} idle conversations"
    return "\n".join(
        (
            f"Leases, SQLite, one at a time over gRPC: {spread(few.leases).middle * 1000:.2f} ms a lease, "
            f"{spread(few.polls).middle * 1000:.2f} ms an empty poll, beside {FEW_CHATS:,} idle conversations",
            ratio_line(f"lease, {what}", ratios(many.leases, few.leases), LEASE_TARGETS),
            ratio_line(f"empty poll, {what}", ratios(many.polls, few.polls), LEASE_TARGETS),
        )
    )
