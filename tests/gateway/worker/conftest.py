"""A worker between four scripted services, and the turns and deliveries that it gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.worker_peers import LIMIT_SECONDS, Peers, running_peers

from gateway.worker.main import run_worker
from gateway.worker.settings import WorkerSettings
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1.outbox_service_pb2 import LeasedDelivery
from kommomesh.conversation.v1.turn_service_pb2 import LeasedTurn
from kommomesh_runtime.parsing import from_time

ACCOUNT = """
id = "12345"
subdomain = "test"
dependency_wait_seconds = 60
turn_budget_seconds = 20
"""

_numbers = count(1)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with running_peers() as running:
        yield running


@pytest.fixture
def accounts_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "accounts"
    directory.mkdir()
    (directory / "test.toml").write_text(ACCOUNT)
    return directory


RunningWorker = Callable[..., AbstractAsyncContextManager[asyncio.Event]]


@pytest.fixture
def running_worker(peers: Peers, accounts_dir: Path) -> RunningWorker:
    @asynccontextmanager
    async def run(**changed: Any) -> AsyncIterator[asyncio.Event]:
        at = peers.address
        settings = WorkerSettings(
            **{
                "accounts_dir": accounts_dir,
                "conversation_address": at,
                "intent_address": at,
                "llm_address": at,
                "kommo_address": at,
                "worker_id": "worker-1",
                "grace_seconds": 5.0,
            }
            | changed
        )
        stop = asyncio.Event()
        async with asyncio.timeout(2 * LIMIT_SECONDS):
            task = asyncio.create_task(run_worker(settings, stop))
            try:
                yield stop
            finally:
                stop.set()
                await task

    return run


@pytest.fixture
def new_message() -> Callable[..., conv.Message]:
    def make(content: str = "¿A qué hora abren?", kind: int = common.CONTENT_TYPE_TEXT) -> conv.Message:
        number = next(_numbers)
        return conv.Message(
            id=f"message-{number}",
            role=common.ROLE_USER,
            content=content,
            content_type=kind,
            create_time=from_time(datetime.now(UTC)),
        )

    return make


@pytest.fixture
def new_turn(new_message: Callable[..., conv.Message]) -> Callable[..., LeasedTurn]:
    def make(*messages: conv.Message, waited: float = 0.0, account_id: str = "12345", **fields: Any) -> LeasedTurn:
        number = next(_numbers)
        now = datetime.now(UTC)
        return LeasedTurn(
            turn_id=f"turn-{number}",
            conversation=conv.Conversation(
                id=f"conversation-{number}", account_id=account_id, contact_name="Clienta de muestra"
            ),
            messages=messages or [new_message()],
            attempt=1,
            lease_expire_time=from_time(now + timedelta(seconds=300)),
            waiting_since_time=from_time(now - timedelta(seconds=waited)),
            **fields,
        )

    return make


@pytest.fixture
def new_delivery() -> Callable[..., LeasedDelivery]:
    def make(text: str = "Abrimos a las 9.30.", **fields: Any) -> LeasedDelivery:
        number = next(_numbers)
        now = datetime.now(UTC)
        delivery = conv.Delivery(
            id=f"delivery-{number}", account_id="12345", conversation_id="c-1", text=text, attempt_count=1
        )
        return LeasedDelivery(
            delivery=delivery,
            lease_id=f"lease-{number}",
            lease_expire_time=from_time(now + timedelta(seconds=300)),
            start_before_time=from_time(now + timedelta(seconds=300)),
            chat_id="chat-1",
            talk_id="77",
            contact_id="9",
            origin="waba",
            channel=common.CHANNEL_WHATSAPP,
            **fields,
        )

    return make
