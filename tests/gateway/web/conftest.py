"""A real web server over a real gRPC conversation-service of a few lines that remembers what it is given."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from gateway.settings import GatewaySettings
from gateway.web import RunningWeb, running_web
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as service_grpc
from kommomesh_runtime.accounts import Account, Accounts, ChannelConfig, SecretRef
from kommomesh_runtime.errors import Unavailable
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kommo"
INDEX = json.loads((FIXTURES / "index.json").read_text("utf-8"))
SCOPE_ID = INDEX["channel"]["scope_id"]
USER_AMOJO_ID = "db2aef5d-e204-580c-b10b-7f8f6a238708"


def at_fixture_time() -> datetime:
    """Return the time at which the recorded requests are fresh."""
    return datetime.fromtimestamp(INDEX["reference_time"] + 5, UTC)


def secret_of(value: str) -> tuple[SecretRef, ...]:
    return (SecretRef(value=SecretStr(value)),)


def fixture_account(**changes: Any) -> Account:
    fields: dict[str, Any] = {
        "id": INDEX["account"]["id"],
        "subdomain": INDEX["account"]["subdomain"],
        "guide_webhook": "open",
        "user_amojo_ids": (USER_AMOJO_ID,),
        "public_url": "https://hooks.example.com",
        "integration_id": INDEX["integration"]["client_uuid"],
        "channel": ChannelConfig(
            scope_id=SCOPE_ID,
            channel_id=INDEX["channel"]["id"],
            bot_id=INDEX["channel"]["bot_id"],
            code="31874205",
            amojo_id=INDEX["account"]["amojo_id"],
        ),
        "secrets": {
            "webhook_secret": (*secret_of("fixture-webhook-secret"), *secret_of("older-webhook-secret")),
            "channel_secret": secret_of(INDEX["channel"]["secret"]),
            "guide_secret": secret_of("fixture-guide-secret"),
            "client_secret": secret_of(INDEX["integration"]["client_secret"]),
        },
    }
    return Account(**{**fields, **changes})


class StorageDown(Unavailable):
    reason = "STORAGE_UNAVAILABLE"
    text = "the database cannot be reached"


@dataclass
class RecordingConversations(service_grpc.ConversationServiceServicer):
    """Remembers each item once, as the contract says; faults on demand."""

    items: list[service_pb.IngestItem] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    failures_left: int = 0
    poison: str = ""

    def __post_init__(self) -> None:
        self.open.set()

    async def IngestMessages(
        self, request: service_pb.IngestMessagesRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.IngestMessagesResponse:
        self.calls.append(len(request.items))
        self.entered.set()
        await self.open.wait()
        if self.failures_left:
            self.failures_left -= 1
            raise StorageDown
        if self.poison and any(item.chat_id == self.poison for item in request.items):
            raise KeyError("bug")
        return service_pb.IngestMessagesResponse(results=[self._take(item) for item in request.items])

    def _take(self, item: service_pb.IngestItem) -> service_pb.IngestResult:
        message_id = item.client_message.kommo_message_id or item.company_message.kommo_message_id
        if item.chat_id == "account-unknown":
            return service_pb.IngestResult(outcome=service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN, error="no")
        if item.chat_id == "rejected":
            return service_pb.IngestResult(outcome=service_pb.INGEST_OUTCOME_REJECTED, error="no")
        if message_id and (item.account_id, message_id) in self.seen:
            return service_pb.IngestResult(outcome=service_pb.INGEST_OUTCOME_DUPLICATE)
        self.seen.add((item.account_id, message_id))
        self.items.append(item)
        return service_pb.IngestResult(outcome=service_pb.INGEST_OUTCOME_STORED, conversation_id="c")

    def forget(self) -> None:
        """Be as new."""
        for kept in (self.items, self.calls, self.seen):
            kept.clear()
        self.failures_left, self.poison = 0, ""

    def client_messages(self) -> list[service_pb.IngestItem]:
        return [item for item in self.items if item.WhichOneof("event") == "client_message"]


@dataclass
class Edge:
    """A running gateway, a client to it, and what it stored."""

    web: RunningWeb
    client: httpx.AsyncClient
    stored: RecordingConversations
    conversation_address: str

    async def crm(self, body: bytes | str, secret: str = "fixture-webhook-secret", **headers: str) -> httpx.Response:
        sent = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self.client.post(f"/api/kommo/webhook/{secret}", content=body, headers=sent)

    async def guide(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **headers}
        return await self.client.post("/api/kommo/webhook", content=content, headers=sent)

    async def chats(self, body: bytes, signature: str | None, scope_id: str = SCOPE_ID) -> httpx.Response:
        headers = {} if signature is None else {"x-signature": signature}
        return await self.client.post(f"/api/kommo/chats/{scope_id}", content=body, headers=headers)

    async def salesbot(
        self, body: bytes | str, content_type: str = "application/json", account: str = INDEX["account"]["id"]
    ) -> httpx.Response:
        headers = {"content-type": content_type} if content_type else {}
        return await self.client.post(f"/api/kommo/salesbot/{account}", content=body, headers=headers)


OpenEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@asynccontextmanager
async def running_edge(
    *accounts: Account,
    stored: RecordingConversations | None = None,
    now: Callable[[], datetime] = at_fixture_time,
    **settings: Any,
) -> AsyncIterator[Edge]:
    stored = stored or RecordingConversations()
    service = Service(
        "kommomesh.conversation.v1.ConversationService",
        lambda server: service_grpc.add_ConversationServiceServicer_to_server(stored, server),
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server([service], ServerSettings(drain_seconds=0)))
        address = f"dns:///127.0.0.1:{server.port}"
        # As much time as may be set: a busy machine is no storage that is away.
        patient = {"store_seconds": 1.8, "chats_store_seconds": 4.5, **settings}
        chosen = GatewaySettings(port=0, drain_seconds=0, conversation_address=address, **patient)
        web = await stack.enter_async_context(
            running_web(chosen, Accounts.of(*(accounts or (fixture_account(),))), environ={}, now=now)
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}", timeout=60, trust_env=False)
        )
        yield Edge(web, client, stored, address)


@pytest.fixture
def open_edge() -> OpenEdge:
    return running_edge


@pytest.fixture
def account_with() -> Callable[..., Account]:
    return fixture_account


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with running_edge() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_edge() -> AsyncIterator[Edge]:
    async with running_edge() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def shared_edge(module_edge: Edge) -> Edge:
    """Give the one gateway of a module, which has stored nothing; for modules whose tests run in one loop."""
    module_edge.stored.forget()
    return module_edge
