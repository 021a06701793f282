"""Two replicas of the service on one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.conversation_mesh import Mesh, answer, running_mesh, sent

from conversation_service.adapters.open_store import open_store


@pytest.fixture
async def replicas(postgres_url, clock, accounts) -> AsyncIterator[tuple[Mesh, Mesh]]:
    async with (
        open_store(postgres_url, acquire_seconds=10, limit_seconds=30, shift=clock.read) as one,
        open_store(postgres_url, acquire_seconds=10, limit_seconds=30, shift=clock.read) as other,
        running_mesh(one, accounts, clock) as first,
        running_mesh(other, accounts, clock) as second,
    ):
        yield first, second


async def test_given_two_replicas_when_workers_lease_from_both_then_nothing_is_held_twice(replicas):
    first, second = replicas
    for number in range(20):
        await first.client_writes("hola", chat=f"chat-{number}")
    first.clock.advance(3)
    leases = await asyncio.gather(*(mesh.lease_turns(4) for _ in range(5) for mesh in replicas))
    leases.append(await first.lease_turns(64))
    turns = [turn for found in leases for turn in found]
    assert len({turn.conversation.id for turn in turns}) == len(turns) == 20
    await asyncio.gather(*(second.complete(turn, answer=answer("buenas")) for turn in turns))
    held = await asyncio.gather(*(mesh.lease_deliveries(4) for _ in range(5) for mesh in replicas))
    held.append(await second.lease_deliveries(64))
    deliveries = [leased.delivery.id for found in held for leased in found]
    assert len(set(deliveries)) == len(deliveries) == 20


async def test_given_one_turn_when_completed_at_both_replicas_then_one_answer_is_written(replicas):
    first, second = replicas
    await first.client_writes("hola")
    turn = await second.lease_turn()
    done = await asyncio.gather(*(mesh.complete(turn, worker="w", answer=answer("buenas")) for mesh in replicas * 3))
    held = [leased for one in done for leased in one.deliveries]
    assert len(held) == 1
    reports = await asyncio.gather(*(mesh.report(held[0], sent=sent("k-1")) for mesh in replicas * 3))
    assert {tuple(report.delivery.kommo_message_ids) for report in reports} == {("k-1",)}
    assert (await second.conversation(turn.conversation.id)).bot_message_count == 1


async def test_given_a_worker_that_waits_at_one_replica_when_the_other_stores_then_it_gets_the_work(replicas):
    first, second = replicas
    waiting = asyncio.create_task(second.lease_turns(wait=20))
    await first.client_writes("hola")
    first.clock.advance(3)
    async with asyncio.timeout(60):
        (turn,) = await waiting
    waiting = asyncio.create_task(first.lease_deliveries(wait=20))
    await second.complete(turn, answer=answer("buenas"))
    async with asyncio.timeout(60):
        assert [leased.delivery.text for leased in await waiting] == ["buenas"]
