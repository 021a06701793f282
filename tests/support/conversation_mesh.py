"""A running conversation-service for tests, and short ways to do what the gateway does with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from conversation_service.adapters.store import Store
from conversation_service.servicers.conversation import ConversationServicer, ConversationUseCases
from conversation_service.servicers.outbox import OutboxServicer
from conversation_service.servicers.turn import TurnServicer
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.outbox import OutboxUseCases
from conversation_service.use_cases.queries import QueryUseCases
from conversation_service.use_cases.trace import TraceUseCases
from conversation_service.use_cases.turns import TurnUseCases
from google.protobuf.duration_pb2 import Duration
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as service_grpc
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as outbox_grpc
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh.conversation.v1 import turn_service_pb2_grpc as turn_grpc
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

ACCOUNT_ID = "12345"
SERVICES = tuple(f"kommomesh.conversation.v1.{name}Service" for name in ("Conversation", "Turn", "Outbox"))
QUIET_SECONDS = 3
_numbers = count(1)


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(value * 1e9))
    return duration


def answer(*parts: str, **fields: Any) -> turn_pb.AnswerDecision:
    return turn_pb.AnswerDecision(parts=parts, **fields)


def sent(*kommo_ids: str, **fields: Any) -> outbox_pb.SentReport:
    return outbox_pb.SentReport(transport="talk_message", kommo_message_ids=kommo_ids, **fields)


@dataclass
class Mesh:
    """Stubs of one running service, and what drives it."""

    store: Store
    clock: Any
    drain: asyncio.Event
    conversations: Any
    turns: Any
    outbox: Any

    async def ingest(self, *items: service_pb.IngestItem) -> Sequence[service_pb.IngestResult]:
        response = await self.conversations.IngestMessages(service_pb.IngestMessagesRequest(items=items))
        return response.results

    async def client_writes(self, *texts: str, chat: str = "chat-1", account: str = ACCOUNT_ID) -> str:
        """Store messages of a client; return the conversation's id."""
        results = await self.ingest(
            *(
                service_pb.IngestItem(
                    account_id=account,
                    chat_id=chat,
                    talk_id="71",
                    origin="waba",
                    contact_name="Ana",
                    client_message=service_pb.ClientMessage(kommo_message_id=f"in-{next(_numbers)}", text=text),
                )
                for text in texts
            )
        )
        return results[0].conversation_id

    async def company_writes(
        self, text: str, kommo_id: str = "", *, is_person: bool = False, chat: str = "chat-1"
    ) -> service_pb.IngestResult:
        """Store what Kommo reports of the company: the echo of a bot, or a person's words."""
        kind = service_pb.AUTHOR_KIND_PERSON if is_person else service_pb.AUTHOR_KIND_BOT
        message = service_pb.CompanyMessage(
            kommo_message_id=kommo_id or f"out-{next(_numbers)}", text=text, author_kind=kind
        )
        item = service_pb.IngestItem(account_id=ACCOUNT_ID, chat_id=chat, company_message=message)
        return (await self.ingest(item))[0]

    async def lease_turns(
        self, maximum: int = 10, *, worker: str = "worker-1", wait: float = 0
    ) -> list[turn_pb.LeasedTurn]:
        request = turn_pb.LeaseTurnsRequest(worker_id=worker, max_turns=maximum, wait_duration=seconds(wait))
        return list((await self.turns.LeaseTurns(request)).turns)

    async def lease_turn(self, *, worker: str = "worker-1") -> turn_pb.LeasedTurn:
        """Let the quiet window pass and lease the one turn that is then due."""
        self.clock.advance(QUIET_SECONDS)
        (leased,) = await self.lease_turns(worker=worker)
        return leased

    async def complete(self, leased: turn_pb.LeasedTurn, *, worker: str = "", **decision: Any) -> Any:
        read = decision.pop("read", [message.id for message in leased.messages])
        return await self.turns.CompleteTurn(
            turn_pb.CompleteTurnRequest(turn_id=leased.turn_id, read_message_ids=read, worker_id=worker, **decision)
        )

    async def answered(self, *parts: str, text: str = "hola", chat: str = "chat-1") -> turn_pb.LeasedTurn:
        """Bring a conversation to where its answer waits to be sent; return the turn."""
        await self.client_writes(text, chat=chat)
        leased = await self.lease_turn()
        await self.complete(leased, answer=answer(*(parts or ("buenas",))))
        return leased

    async def lease_deliveries(self, maximum: int = 10, *, wait: float = 0) -> list[outbox_pb.LeasedDelivery]:
        request = outbox_pb.LeaseDeliveriesRequest(
            worker_id="worker-1", max_deliveries=maximum, wait_duration=seconds(wait)
        )
        return list((await self.outbox.LeaseDeliveries(request)).deliveries)

    async def lease_delivery(self) -> outbox_pb.LeasedDelivery:
        (leased,) = await self.lease_deliveries()
        return leased

    async def report(
        self, leased: outbox_pb.LeasedDelivery, *, worker: str = "", **report: Any
    ) -> outbox_pb.ReportDeliveryResponse:
        return await self.outbox.ReportDelivery(
            outbox_pb.ReportDeliveryRequest(
                delivery_id=leased.delivery.id, lease_id=leased.lease_id, worker_id=worker, **report
            )
        )

    async def retry(self, leased: outbox_pb.LeasedDelivery, *, unclear: bool = False, after: float = 0) -> pb.Delivery:
        report = outbox_pb.RetryReport(reason="kommo_unavailable", is_unclear=unclear, retry_after=seconds(after))
        return (await self.report(leased, retry=report)).delivery

    async def fail(self, leased: outbox_pb.LeasedDelivery) -> pb.Delivery:
        return (await self.report(leased, failed=outbox_pb.FailedReport(reason="talk_closed"))).delivery

    async def take_over(self, conversation_id: str) -> None:
        await self.conversations.TakeOver(
            service_pb.TakeOverRequest(conversation_id=conversation_id, request_id=str(uuid4()), person="Eva")
        )

    async def release(self, conversation_id: str) -> None:
        await self.conversations.ReleaseToBot(
            service_pb.ReleaseToBotRequest(conversation_id=conversation_id, request_id=str(uuid4()))
        )

    async def replay(self, delivery_id: str, *, force: bool = False, request_id: str = "") -> pb.Delivery:
        response = await self.outbox.ReplayDelivery(
            outbox_pb.ReplayDeliveryRequest(delivery_id=delivery_id, force=force, request_id=request_id or str(uuid4()))
        )
        return response.delivery

    async def conversation(self, conversation_id: str) -> pb.Conversation:
        request = service_pb.GetConversationRequest(conversation_id=conversation_id)
        return (await self.conversations.GetConversation(request)).conversation

    async def messages(self, conversation_id: str) -> list[pb.Message]:
        """Return the messages of a conversation, the oldest first."""
        request = service_pb.ListMessagesRequest(conversation_id=conversation_id, page_size=200)
        return list((await self.conversations.ListMessages(request)).messages)[::-1]

    async def outcomes(self, conversation_id: str) -> list[str]:
        """Return the outcomes of the client's messages, the oldest first."""
        names = pb.MessageOutcome.Name
        return [
            names(message.outcome).removeprefix("MESSAGE_OUTCOME_")
            for message in await self.messages(conversation_id)
            if message.role == 1
        ]

    async def trace(self, **name: str) -> pb.Trace:
        return (await self.conversations.GetTrace(service_pb.GetTraceRequest(**name))).trace


@asynccontextmanager
async def running_mesh(
    store: Store, accounts: Accounts, clock: Any, *, max_attempts: int = 12, random: Callable[[], float] = lambda: 0.5
) -> AsyncIterator[Mesh]:
    """Serve the three services over a store, and give stubs of them."""
    drain = asyncio.Event()
    conversations = ConversationServicer(
        ConversationUseCases(
            IngestUseCases(store, accounts), FloorUseCases(store), QueryUseCases(store), TraceUseCases(store)
        )
    )
    turns = TurnServicer(TurnUseCases(store, accounts), drain)
    outbox = OutboxServicer(OutboxUseCases(store, accounts, random, max_attempts=max_attempts), drain)
    services = [
        Service(
            SERVICES[0], lambda server: service_grpc.add_ConversationServiceServicer_to_server(conversations, server)
        ),
        Service(SERVICES[1], lambda server: turn_grpc.add_TurnServiceServicer_to_server(turns, server)),
        Service(SERVICES[2], lambda server: outbox_grpc.add_OutboxServiceServicer_to_server(outbox, server)),
    ]
    settings = ServerSettings(port=0, drain_seconds=0, grace_seconds=1)
    async with (
        running_server(services, settings, drain=drain) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=SERVICES, limit_seconds=30) as channel,
    ):
        yield Mesh(
            store,
            clock,
            drain,
            service_grpc.ConversationServiceStub(channel),
            turn_grpc.TurnServiceStub(channel),
            outbox_grpc.OutboxServiceStub(channel),
        )


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = 5.0) -> None:
    """Return as soon as a condition holds.

    Raises:
        TimeoutError: it did not within so many seconds.
    """
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.01)
