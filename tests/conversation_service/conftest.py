"""Stores on both databases, with a clock that tests can move."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.store import Store
from conversation_service.migrate import migrate_sqlite
from conversation_service.servicers.conversation import ConversationServicer, ConversationUseCases
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.queries import QueryUseCases
from conversation_service.use_cases.trace import TraceUseCases
from kommomesh.conversation.v1 import conversation_service_pb2_grpc
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings


@dataclass
class MovableClock:
    """How far the clock of a store is ahead."""

    shift: timedelta = field(default_factory=timedelta)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.shift += timedelta(seconds=seconds)

    def read(self) -> timedelta:
        """Return the shift."""
        return self.shift


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a migrated database, of both kinds in turn."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    path = tmp_path / "mesh.db"
    migrate_sqlite(str(path))
    return f"sqlite:///{path}"


@pytest.fixture
async def store(database_url: str, clock: MovableClock) -> AsyncIterator[Store]:
    async with open_store(database_url, acquire_seconds=10, limit_seconds=30, shift=clock.read) as opened:
        yield opened


@pytest.fixture
async def stub(store: Store) -> AsyncIterator[Any]:
    """Give a stub of ConversationService on the store, over the wire."""
    accounts = Accounts.of(Account(id="12345", subdomain="test"))
    ingest = IngestUseCases(store, accounts, limit_seconds=10)
    servicer = ConversationServicer(
        ConversationUseCases(ingest, FloorUseCases(store, accounts), QueryUseCases(store), TraceUseCases(store))
    )
    register = partial(conversation_service_pb2_grpc.add_ConversationServiceServicer_to_server, servicer)
    service = Service("kommomesh.conversation.v1.ConversationService", register)
    async with (
        running_server([service], ServerSettings(port=0, drain_seconds=0)) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", limit_seconds=60) as channel,
    ):
        yield conversation_service_pb2_grpc.ConversationServiceStub(channel)
