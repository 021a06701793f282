"""The rate of an account, kept by replicas that share a PostgreSQL."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.open_store import open_store
from conversation_service.adapters.outbox_rows import add_work, insert_deliveries
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import CONVERSATIONS
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from conversation_service.use_cases.outbox import OutboxUseCases
from kommomesh_runtime.accounts import Account, Accounts

RATE = 7
ACCOUNTS = Accounts.of(Account(id="12345", subdomain="test", requests_per_second=RATE))


async def deliveries_due(store: Store, number: int) -> None:
    """Store conversations that each have one delivery due."""

    def work(connection, now):
        for place in range(number):
            conversation_id: UUID = uuid4()
            row = {"id": conversation_id, "account_id": "12345", "kommo_chat_id": f"chat-{place}"}
            times = ("last_message_at", "floor_changed_at", "episode_started_at", "created_at", "updated_at")
            connection.execute(insert(CONVERSATIONS).values(row | dict.fromkeys(times, now)))
            delivery = Delivery(
                id=uuid4(),
                account_id="12345",
                conversation_id=conversation_id,
                turn_id=None,
                sequence=1,
                kind=DeliveryKind.REPLY,
                state=DeliveryState.PENDING,
                text="hola",
                floor_number=1,
                created_at=now,
                first_unread_at=now,
            )
            insert_deliveries(connection, [delivery])
            add_work(connection, conversation_id, "12345", now)

    await store.write(work)


async def lease_at_once(*use_cases: OutboxUseCases, rounds: int = 3) -> list[Leased]:
    drain = asyncio.Event()
    got = await asyncio.gather(
        *(one.lease_deliveries(5, 0, drain) for one in use_cases for _ in range(rounds)),
    )
    return [leased for found in got for leased in found]


@pytest.mark.parametrize("steps", [40])
async def test_given_two_replicas_when_both_lease_greedily_then_no_second_sees_more_than_the_rate(
    postgres_url, clock, steps
):
    async with open_store(postgres_url, shift=clock.read) as one, open_store(postgres_url, shift=clock.read) as other:
        await deliveries_due(one, 60)
        replicas = [OutboxUseCases(store, ACCOUNTS, lambda: 0.5) for store in (one, other)]
        leased: list[Leased] = []
        for _ in range(steps):
            leased += await lease_at_once(*replicas)
            clock.advance(0.1)
    starts = sorted(found.start_before.timestamp() for found in leased)
    # The lease time is the database's; every delivery is leased once, since no lease of 30 s has ended.
    assert len({found.delivery.id for found in leased}) == len(leased)
    assert len(leased) > 15
    assert all(sum(start <= later < start + 0.999 for later in starts) <= RATE for start in starts)
