"""The requests that proofs cost: messages come first, and what waits for its proof holds up nobody."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from support.conversation_mesh import ACCOUNT_ID, Mesh, running_mesh, sent

from conversation_service.adapters.tables import RATE_BUCKETS
from conversation_service.use_cases.waiting_ages import waiting_ages
from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

QUIET = HandoffSettings(note=False, task=False, person_reminder_after_seconds=0)
CHATS = 12
ESCALATED = turn_pb.EscalateDecision(reason_code="complaint", reason="queja", priority=common_pb2.PRIORITY_HIGH)


@pytest.fixture
async def mesh(store, clock):
    accounts = Accounts.of(Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=7, handoff=QUIET))
    async with running_mesh(store, accounts, clock, proof={}) as running:
        yield running


async def looks_due(mesh: Mesh, number: int) -> None:
    """Bring chats to where each has a reply that is to be looked for."""
    for place in range(number):
        await mesh.answered(chat=f"chat-{place}")
        for leased in await mesh.lease_deliveries():
            if leased.delivery.kind == pb.DELIVERY_KIND_REPLY:
                await mesh.report(leased, sent=sent(f"k-{place}"))
    mesh.clock.advance(120)


def kinds(leased) -> list[int]:
    return [one.delivery.kind for one in leased]


async def leave_tokens(mesh: Mesh, tokens: float) -> None:
    def work(connection, now):
        # A time to come, so that nothing is filled up meanwhile.
        values = {"tokens": tokens, "refilled_at": now + timedelta(hours=1)}
        connection.execute(update(RATE_BUCKETS).where(RATE_BUCKETS.c.account_id == ACCOUNT_ID).values(values))

    await mesh.store.write(work)


async def test_given_looks_and_a_message_due_when_leased_then_the_message_leaves_and_looks_wait_for_a_full_bucket(
    mesh: Mesh,
):
    await looks_due(mesh, 3)
    await mesh.answered("más tarde", chat="late")
    assert kinds(await mesh.lease_deliveries()) == [pb.DELIVERY_KIND_REPLY]
    await leave_tokens(mesh, 1.9)
    assert kinds(await mesh.lease_deliveries()) == []
    await leave_tokens(mesh, 2.0)
    assert kinds(await mesh.lease_deliveries()) == [pb.DELIVERY_KIND_PROOF]


async def test_given_many_looks_that_wait_when_one_is_leased_at_a_time_then_a_message_is_not_held_up(mesh: Mesh):
    await looks_due(mesh, CHATS)
    await mesh.answered("más tarde", chat="late")
    await leave_tokens(mesh, 1.2)
    (leased,) = await mesh.lease_deliveries(1)
    assert leased.delivery.text == "más tarde"


async def test_given_work_that_waits_when_its_age_is_asked_for_then_each_lane_tells_its_own(mesh: Mesh):
    assert await mesh.store.read(waiting_ages) == (0.0, {})
    await looks_due(mesh, 1)
    await mesh.client_writes("¿hola?", chat="late")
    mesh.clock.advance(60)
    turn, lanes = await mesh.store.read(waiting_ages)
    assert turn > 50
    assert lanes.keys() == {"proof"}
    assert lanes["proof"] > 160


async def test_given_a_message_that_takes_many_requests_when_cheap_actions_are_due_too_then_they_do_not_overtake_it(
    store, clock
):
    account = Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=7, transports=("salesbot_field",))
    async with running_mesh(store, Accounts.of(account), clock) as mesh:
        await mesh.answered("antes", chat="before")
        await mesh.lease_deliveries()
        await mesh.answered("seis pedidos", chat="first")
        await mesh.client_writes("un humano", chat="second")
        await mesh.complete(await mesh.lease_turn(), escalate=ESCALATED)
        await leave_tokens(mesh, 1.9)
        assert kinds(await mesh.lease_deliveries()) == []
        await leave_tokens(mesh, 2.0)
        assert kinds(await mesh.lease_deliveries()) == [pb.DELIVERY_KIND_REPLY]
