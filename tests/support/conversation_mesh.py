"""A running conversation-service for tests, and short ways to do what the gateway does with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration

from conversation_service.__main__ import built_services
from conversation_service.adapters.store import Store
from conversation_service.settings import ConversationSettings
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as service_grpc
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as outbox_grpc
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh.conversation.v1 import turn_service_pb2_grpc as turn_grpc
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.server import running_server
from kommomesh_runtime.settings import ServerSettings

ACCOUNT_ID = "12345"
SERVICES = tuple(f"kommomesh.conversation.v1.{name}Service" for name in ("Conversation", "Turn", "Outbox"))
QUIET_SECONDS = 3
# Later than what these tests do: proofs have tests of their own.
PROOF_LATER = {f"proof_{name}_seconds": 3600.0 for name in ("first", "second", "last")}
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

    async def bot_said(self, conversation_id: str) -> list[str]:
        """Return the bot's messages, the oldest first."""
        return [message.content for message in await self.messages(conversation_id) if message.role == 2]

    async def trace(self, **name: str) -> pb.Trace:
        return (await self.conversations.GetTrace(service_pb.GetTraceRequest(**name))).trace


async def refused(call: Awaitable[Any]) -> tuple[str, str]:
    """Return code and reason of the error that a call answers."""
    with pytest.raises(RemoteError) as caught:
        await call
    return caught.value.code, caught.value.reason


@asynccontextmanager
async def running_mesh(
    store: Store, accounts: Accounts, clock: Any, *, max_attempts: int = 12, proof: Mapping[str, float] = PROOF_LATER
) -> AsyncIterator[Mesh]:
    """Serve the three services over a store, and give stubs of them."""
    drain = asyncio.Event()
    # Many tests at once on a small machine store slower than a service may.
    settings = ConversationSettings(delivery_max_attempts=max_attempts, ingest_limit_seconds=10, **proof)
    server_settings = ServerSettings(port=0, drain_seconds=0, grace_seconds=1)
    async with (
        built_services(store, accounts, settings, drain) as services,
        running_server(services, server_settings, drain=drain) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=SERVICES, limit_seconds=60) as channel,
    ):
        yield Mesh(
            store,
            clock,
            drain,
            service_grpc.ConversationServiceStub(channel),
            turn_grpc.TurnServiceStub(channel),
            outbox_grpc.OutboxServiceStub(channel),
        )
