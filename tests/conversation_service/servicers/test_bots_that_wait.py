"""A Salesbot that waits is handed to one delivery alone, at its lease, as often as that is attempted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.conversation_mesh import Mesh, answer, running_mesh, sent

from conversation_service.adapters.tables import SALESBOT_CONTINUATIONS
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings
from kommomesh_runtime.parsing import from_time

QUIET = HandoffSettings(note=False, task=False, person_reminder_after_seconds=0)
LEAD = "91"


@pytest.fixture
def transports() -> tuple[str, ...]:
    return ("salesbot_return", "talk_message")


@pytest.fixture
async def mesh(store: Any, clock: Any, transports: tuple[str, ...]) -> AsyncIterator[Mesh]:
    fields = {"requests_per_second": 1000, "handoff": QUIET, "transports": transports}
    accounts = [Account(id=one, subdomain="test", **fields) for one in ("12345", "777")]
    async with running_mesh(store, Accounts.of(*accounts), clock) as running:
        yield running


def url(number: int) -> str:
    return f"https://test.kommo.com/api/v4/salesbot/1/continue/{number}"


async def bot_waits(mesh: Mesh, number: int, *, minutes: float = 5, lead: str = LEAD, account: str = "12345") -> None:
    # By the clock of the store, which the tests move.
    ends_at = datetime.now(UTC) + mesh.clock.read() + timedelta(minutes=minutes)
    waits = service_pb.SalesbotRequest(return_url=url(number), expire_time=from_time(ends_at))
    await mesh.ingest(service_pb.IngestItem(account_id=account, lead_id=lead, salesbot_request=waits))


async def answered(mesh: Mesh, *parts: str, chat: str = "chat-1") -> None:
    message = service_pb.ClientMessage(kommo_message_id=f"in-{chat}-{mesh.clock.read()}", text="hola")
    await mesh.ingest(
        service_pb.IngestItem(account_id="12345", chat_id=chat, talk_id="71", lead_id=LEAD, client_message=message)
    )
    await mesh.complete(await mesh.lease_turn(), answer=answer(*(parts or ("buenas",))))


def waiting(leased: outbox_pb.LeasedDelivery) -> str:
    return leased.salesbot_continuation.return_url


async def test_given_a_bot_that_waits_when_deliveries_of_its_lead_are_leased_then_the_first_alone_gets_it(
    mesh: Mesh,
) -> None:
    await bot_waits(mesh, 1)
    await answered(mesh)
    first = await mesh.lease_delivery()
    await mesh.report(first, sent=sent())
    await answered(mesh)
    second = await mesh.lease_delivery()
    assert (waiting(first), waiting(second)) == (url(1), "")
    assert first.salesbot_continuation.expire_time.seconds > 0


@pytest.mark.parametrize("is_unclear", [False, True])
async def test_given_an_attempt_with_a_bot_when_repeated_then_it_has_the_same_bot(mesh: Mesh, is_unclear: bool) -> None:
    await bot_waits(mesh, 1)
    await answered(mesh)
    await mesh.retry(await mesh.lease_delivery(), unclear=is_unclear)
    # Over by then, but whether the first attempt has used it is known to Kommo alone.
    mesh.clock.advance(600)
    assert waiting(await mesh.lease_delivery()) == url(1)


async def test_given_an_unclear_attempt_when_another_bot_waits_meanwhile_then_it_does_not_get_that(mesh: Mesh) -> None:
    await bot_waits(mesh, 1)
    await answered(mesh)
    await mesh.retry(await mesh.lease_delivery(), unclear=True)
    await bot_waits(mesh, 2)
    mesh.clock.advance(60)
    leased = await mesh.lease_delivery()
    assert waiting(leased) == ""
    await mesh.report(leased, sent=sent())
    await answered(mesh)
    assert waiting(await mesh.lease_delivery()) == url(2)


@pytest.mark.parametrize(
    "bot",
    [{"minutes": -1}, {"lead": "92"}, {"account": "777"}],
    ids=["expired", "of another lead", "of another account"],
)
async def test_given_a_bot_that_is_not_for_it_when_leased_then_there_is_none(mesh: Mesh, bot: dict[str, Any]) -> None:
    await bot_waits(mesh, 1, **bot)
    await answered(mesh)
    assert waiting(await mesh.lease_delivery()) == ""


@pytest.mark.parametrize("transports", [("talk_message",)])
async def test_given_an_account_that_answers_no_bots_when_leased_then_the_bot_stays_unused(mesh: Mesh) -> None:
    await bot_waits(mesh, 1)
    await answered(mesh)
    leased = await mesh.lease_delivery()
    assert waiting(leased) == ""
    assert not leased.HasField("salesbot_continuation")


async def test_given_bots_first_when_answered_in_parts_then_one_message_holds_them_all(mesh: Mesh) -> None:
    await answered(mesh, "Sí, tenemos.", "https://tienda.example/1")
    (leased,) = await mesh.lease_deliveries()
    assert leased.delivery.text == "Sí, tenemos.\nhttps://tienda.example/1"
    await mesh.report(leased, sent=sent())
    assert await mesh.lease_deliveries() == []
    await answered(mesh, "a" * 600, "b" * 600, chat="chat-2")
    (first,) = await mesh.lease_deliveries()
    assert len(first.delivery.text) == 600


async def test_given_a_bot_that_ended_long_ago_when_another_waits_then_its_address_is_forgotten(mesh: Mesh) -> None:
    await bot_waits(mesh, 1, lead="1")
    mesh.clock.advance(timedelta(hours=49).total_seconds())
    await bot_waits(mesh, 2, lead="2")
    query = select(SALESBOT_CONTINUATIONS.c.lead_id)
    assert await mesh.store.read(lambda connection, _now: list(connection.scalars(query))) == ["2"]
