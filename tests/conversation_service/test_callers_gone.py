"""Workers that go away while a lease is made for them: what they would have held is due again at once."""

import asyncio
import random

from support.conversation_mesh import running_mesh

from conversation_service.adapters.store import Store
from conversation_service.use_cases.outbox import OutboxUseCases
from conversation_service.use_cases.turns import TurnUseCases
from kommomesh_runtime.accounts import Account, Accounts

ACCOUNTS = Accounts.of(Account(id="12345", subdomain="test", quiet_seconds=0, requests_per_second=1000))


async def gone_while_leasing(lease):
    """Call for a lease and go away as soon as the look has begun."""
    caller = asyncio.create_task(lease)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()


async def test_given_worker_that_goes_while_a_turn_is_leased_when_another_asks_then_it_gets_it(store: Store, clock):
    turns = TurnUseCases(store, ACCOUNTS)
    async with running_mesh(store, ACCOUNTS, clock) as mesh:
        await mesh.client_writes("hola")
        await gone_while_leasing(turns.lease_turns("gone", 1, 10, asyncio.Event()))
        leased = await mesh.lease_turn(worker="worker-2")
    assert leased.attempt == 1


async def test_given_worker_that_goes_while_a_delivery_is_leased_when_another_asks_then_it_gets_it(store: Store, clock):
    outbox = OutboxUseCases(store, ACCOUNTS, random.Random(1).random)
    async with running_mesh(store, ACCOUNTS, clock) as mesh:
        await mesh.answered("Abrimos a las 9.")
        await gone_while_leasing(outbox.lease_deliveries(1, 10, asyncio.Event()))
        clock.advance(5)
        leased = await mesh.lease_delivery()
    assert not leased.HasField("unclear_since_time")
    assert leased.delivery.text == "Abrimos a las 9."
