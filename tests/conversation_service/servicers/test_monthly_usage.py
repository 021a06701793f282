"""The month's messages: each counted once, and somebody told once of each level that they reach."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs
from support.conversation_mesh import ACCOUNT_ID, Mesh, running_mesh, sent

from conversation_service.adapters.tables import DELIVERIES
from conversation_service.use_cases.quota import LEFT, SENT, show_usages
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

QUIET = {"note": False, "task": False, "person_reminder_after_seconds": 0}
ALERTED = HandoffSettings(**QUIET, alert_url="https://alerts.example.com/kommo")
QUOTA = 10


@pytest.fixture
def accounts() -> Accounts:
    common = {"subdomain": "test", "requests_per_second": 1000}
    return Accounts.of(
        Account(id=ACCOUNT_ID, **common, monthly_message_quota=QUOTA, handoff=ALERTED),
        Account(id="777", **common, handoff=HandoffSettings(**QUIET)),
    )


@pytest.fixture
async def watched(store, clock, accounts) -> AsyncIterator[Mesh]:
    async with running_mesh(store, accounts, clock) as running:
        yield running


async def usage(mesh: Mesh, account_id: str = ACCOUNT_ID) -> outbox_pb.MonthlyUsage:
    return (await mesh.outbox.GetMonthlyUsage(outbox_pb.GetMonthlyUsageRequest(account_id=account_id))).usage


async def alerts(mesh: Mesh) -> list[str]:
    """Return the reasons of the alerts that were written, in their order."""

    def read(connection: Connection, _now: object) -> list[str]:
        rows = connection.scalars(
            select(DELIVERIES.c.details).where(DELIVERIES.c.kind == "alert").order_by(DELIVERIES.c.created_at)
        )
        return [row["reason"] for row in rows]

    return await mesh.store.read(read)


async def leased_in(mesh: Mesh, chats: int) -> list[outbox_pb.LeasedDelivery]:
    for number in range(chats):
        await mesh.client_writes("hola", chat=f"chat-{number}")
    mesh.clock.advance(3)
    for turn in await mesh.lease_turns(chats):
        await mesh.complete(turn, answer={"parts": ["buenas"]})
    return [one for one in await mesh.lease_deliveries(64) if one.delivery.text]


async def test_given_messages_of_many_workers_when_reported_then_each_counts_once_and_each_level_is_told_once(
    watched: Mesh, accounts: Accounts
):
    leased = await leased_in(watched, QUOTA)
    assert len(leased) == QUOTA
    with capture_logs() as logs:
        reports = (watched.report(one, sent=sent(f"k-{one.delivery.id}")) for one in (*leased, *leased))
        await asyncio.gather(*reports)
    shown = await usage(watched)
    assert (shown.message_count, shown.message_quota, shown.alarmed_percent) == (QUOTA, QUOTA, 95)
    levels = [line["percent"] for line in logs if line["event"] == "quota.level_reached"]
    assert (sorted(levels), sorted(await alerts(watched))) == ([80, 95], ["quota_80_percent", "quota_95_percent"])
    await show_usages(watched.store, accounts)
    gauges = [gauge.labels(ACCOUNT_ID)._value.get() for gauge in (SENT, LEFT)]
    assert gauges == [QUOTA, 0]


async def test_given_pieces_and_other_ways_when_reported_then_only_what_kommo_counts_is_counted(watched: Mesh):
    one, two, three = await leased_in(watched, 3)
    await watched.report(one, sent=sent("k-1", "k-2"))
    await watched.report(two, sent=outbox_pb.SentReport(transport="own_channel", kommo_message_ids=["k-3"]))
    # The echo overtook the report, which alone says by which way it went.
    await watched.company_writes("buenas", "k-4", chat=three.chat_id)
    assert (await usage(watched)).message_count == 2
    await watched.report(three, sent=sent("k-4"))
    assert (await usage(watched)).message_count == 3
    assert not (await usage(watched, "777")).HasField("message_quota")


@pytest.mark.parametrize("is_passed_over", [False, True])
async def test_given_a_month_that_kommo_calls_used_up_when_reported_then_it_is_told_at_once_and_once(
    watched: Mesh, is_passed_over: bool
):
    report = (
        {"sent": outbox_pb.SentReport(transport="salesbot_field", is_quota_used_up=True)}
        if is_passed_over
        else {"failed": outbox_pb.FailedReport(reason="quota_used_up")}
    )
    leased = await leased_in(watched, 2)
    with capture_logs() as logs:
        for one in leased:
            await watched.report(one, **report)
    assert [line["event"] for line in logs if line["event"].startswith("quota")] == ["quota.used_up"]
    assert await alerts(watched) == ["quota_used_up"]
    assert ((await usage(watched)).message_count, (await usage(watched)).alarmed_percent) == (0, 100)
