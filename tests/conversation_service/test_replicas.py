"""Two stores on one PostgreSQL database, as two replicas have them."""

import asyncio
from collections import Counter
from datetime import datetime
from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, select

from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.domain.conversation import RequestIdReused
from conversation_service.domain.floor import Holder, Priority
from conversation_service.domain.ingest import ClientMessage, Content, IngestOutcome, Item
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from kommomesh_runtime.accounts import Account, Accounts

ACCOUNTS = Accounts.of(Account(id="12345", subdomain="test"))


def _item(message_id: str, chat: str) -> Item:
    return Item("12345", chat, ClientMessage(Content(message_id, "hola")))


def _counts(connection: Connection, _now: datetime) -> tuple[int | None, int | None, int | None]:
    return (
        connection.scalar(select(func.count()).select_from(CONVERSATIONS)),
        connection.scalar(select(func.count()).select_from(MESSAGES)),
        connection.scalar(select(func.sum(CONVERSATIONS.c.user_message_count))),
    )


async def test_given_two_replicas_when_both_bring_the_same_messages_then_each_is_stored_once(postgres_url: str) -> None:
    async with (
        open_store(postgres_url, acquire_seconds=10) as one,
        open_store(postgres_url, acquire_seconds=10) as other,
    ):
        replicas = [IngestUseCases(store, ACCOUNTS, limit_seconds=20) for store in (one, other)]
        calls = [
            replica.ingest([_item(f"m{n}", f"chat-{n % 5}") for n in range(start, start + 10)])
            for start in range(0, 100, 10)
            for replica in replicas
        ]
        results = await asyncio.gather(*calls)
        outcomes = Counter(result.outcome for call in results for result in call)
        assert outcomes == {IngestOutcome.STORED: 100, IngestOutcome.DUPLICATE: 100}
        assert await one.read(_counts) == (5, 100, 100)


async def test_given_two_replicas_when_they_write_to_the_same_chats_then_no_count_is_lost(postgres_url: str) -> None:
    async with (
        open_store(postgres_url, acquire_seconds=10) as one,
        open_store(postgres_url, acquire_seconds=10) as other,
    ):
        replicas = [IngestUseCases(store, ACCOUNTS, limit_seconds=20) for store in (one, other)]
        for n in range(15):
            await asyncio.gather(
                *(
                    replica.ingest([_item(f"m{n}-{number}-{chat}", f"chat-{chat}") for chat in range(4)])
                    for number, replica in enumerate(replicas)
                )
            )
        assert await one.read(_counts) == (4, 120, 120)


async def test_given_two_replicas_when_one_message_comes_in_two_chats_then_it_is_stored_once(postgres_url: str) -> None:
    async with (
        open_store(postgres_url, acquire_seconds=10) as one,
        open_store(postgres_url, acquire_seconds=10) as other,
    ):
        first, second = (IngestUseCases(store, ACCOUNTS, limit_seconds=20) for store in (one, other))
        for n in range(20):
            results = await asyncio.gather(
                first.ingest([_item(f"m{n}", "chat-1")]), second.ingest([_item(f"m{n}", "chat-2")])
            )
            assert sorted(found[0].outcome for found in results) == ["duplicate", "stored"]
        counts = await one.read(_counts)
        assert counts[1:] == (20, 20)


async def test_given_two_replicas_when_one_is_told_of_work_then_the_other_wakes(postgres_url: str) -> None:
    async with (
        open_store(postgres_url, acquire_seconds=10) as one,
        open_store(postgres_url, acquire_seconds=10) as other,
    ):
        woken = asyncio.Event()

        async def wait() -> None:
            # Longer than a poll would be, if only a notice ended it: the loop counts the ends that came early.
            loop = asyncio.get_running_loop()
            while not woken.is_set():
                began = loop.time()
                await other.wait_for_work("deliveries", 10)
                if loop.time() - began < 0.2:
                    woken.set()

        async def tell() -> None:
            while not woken.is_set():
                one.wake("deliveries")
                await asyncio.sleep(0.05)

        async with asyncio.timeout(60):
            await asyncio.gather(wait(), tell())


async def test_given_two_replicas_when_both_get_one_request_then_it_is_carried_out_once(postgres_url: str) -> None:
    async with (
        open_store(postgres_url, acquire_seconds=10) as one,
        open_store(postgres_url, acquire_seconds=10) as other,
    ):
        [stored] = await IngestUseCases(one, ACCOUNTS, limit_seconds=20).ingest([_item("m1", "chat-1")])
        assert stored.conversation_id is not None
        request_id = uuid4()
        verbs = [FloorUseCases(store, ACCOUNTS) for store in (one, other)] * 5
        found = await asyncio.gather(
            *(verb.escalate(stored.conversation_id, request_id, "asked", Priority.HIGH) for verb in verbs)
        )
        assert {(conversation.floor.holder, conversation.floor.number) for conversation in found} == {
            (Holder.PERSON_WAITING, 2)
        }
        with pytest.raises(RequestIdReused):
            await verbs[1].resolve(stored.conversation_id, request_id)


async def test_given_a_transaction_pooler_when_ingested_then_nothing_of_a_session_is_needed(postgres_url: str) -> None:
    async with open_store(postgres_url, acquire_seconds=10, is_pooled=True) as store:
        ingest = IngestUseCases(store, ACCOUNTS, limit_seconds=20)
        results = await asyncio.gather(*(ingest.ingest([_item(f"m{n}", "chat-1")]) for n in range(10)))
        store.wake("turns")
        assert {found[0].outcome for found in results} == {IngestOutcome.STORED}
