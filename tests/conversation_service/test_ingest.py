"""What ingest does to turns, to other calls and to what cannot be stored, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Row, func, insert, select, update

from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import CONVERSATIONS, DELIVERIES, MESSAGES, TURN_WORK
from conversation_service.domain.ingest import (
    ClientMessage,
    CompanyMessage,
    Content,
    IngestOutcome,
    IngestResult,
    Item,
    TalkEvent,
)
from conversation_service.use_cases.ingest import IngestUseCases
from kommomesh_runtime.accounts import Account, Accounts

ACCOUNTS = Accounts.of(
    Account(id="12345", subdomain="test", quiet_seconds=2, quiet_max_seconds=10),
    Account(id="old", subdomain="old", max_message_age_seconds=3600),
)
STORED, DUPLICATE, REJECTED = IngestOutcome.STORED, IngestOutcome.DUPLICATE, IngestOutcome.REJECTED
LONE_SURROGATE = "\ud800"


def _client(message_id: str, chat: str = "chat-1", account: str = "12345", at: datetime | None = None) -> Item:
    return Item(account, chat, ClientMessage(Content(message_id, "hola")), at=at)


def _company(message_id: str, *, is_person: bool, text: str = "ya lo veo", at: datetime | None = None) -> Item:
    return Item("12345", "chat-1", CompanyMessage(Content(message_id, text), is_person), at=at)


@pytest.fixture
async def ingest(store: Store) -> AsyncIterator[IngestUseCases]:
    opened = IngestUseCases(store, ACCOUNTS, limit_seconds=10)
    yield opened
    await opened.aclose()


async def _work(store: Store) -> Sequence[Row[Any]]:
    rows: Sequence[Row[Any]] = await store.read(lambda connection, _now: connection.execute(select(TURN_WORK)).all())
    return rows


async def _outcomes(store: Store) -> dict[str, tuple[str | None, str | None]]:
    def find(connection: Connection, _now: datetime) -> dict[str, tuple[str | None, str | None]]:
        query = select(MESSAGES.c.kommo_message_id, MESSAGES.c.outcome, MESSAGES.c.outcome_reason)
        return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    return await store.read(find)


async def test_given_a_burst_when_it_goes_on_then_the_turn_waits_for_quiet_but_not_for_ever(
    store: Store, ingest: IngestUseCases, clock: Any
) -> None:
    await ingest.ingest([_client("m0")])
    [first] = await _work(store)
    assert first.due_at - first.first_unread_at == timedelta(seconds=2)
    clock.advance(1.5)
    await ingest.ingest([_client("m1")])
    [moved] = await _work(store)
    assert moved.due_at > first.due_at
    assert moved.first_unread_at == first.first_unread_at
    clock.advance(8)
    await ingest.ingest([_client("m2")])
    [last] = await _work(store)
    assert last.due_at - last.first_unread_at == timedelta(seconds=10)


async def test_given_a_leased_turn_when_a_message_arrives_then_the_lease_is_not_moved(
    store: Store, ingest: IngestUseCases, clock: Any
) -> None:
    await ingest.ingest([_client("m0")])
    [due] = await _work(store)
    lease = {"turn_id": uuid4(), "leased_until": due.due_at + timedelta(seconds=40)}
    await store.write(
        lambda connection, _now: (
            connection.execute(update(TURN_WORK).values(lease | {"due_at": lease["leased_until"]})) and None
        )
    )
    clock.advance(3)
    await ingest.ingest([_client("m1")])
    [leased] = await _work(store)
    assert (leased.due_at, leased.turn_id) == (lease["leased_until"], lease["turn_id"])
    assert leased.last_unread_at > due.last_unread_at


async def test_given_a_turn_that_waits_when_a_person_writes_then_there_is_no_turn_any_more(
    store: Store, ingest: IngestUseCases
) -> None:
    await ingest.ingest([_client("m0")])
    await ingest.ingest([_company("p0", is_person=True)])
    assert not await _work(store)
    assert (await _outcomes(store))["m0"] == ("handed_to_person", "person_has_floor")


async def test_given_a_talk_closed_after_the_person_when_the_client_writes_in_one_batch_then_the_bot_has_that_alone(
    store: Store, ingest: IngestUseCases
) -> None:
    closed = Item("12345", "chat-1", TalkEvent(is_closed=True), talk_id="7")
    await ingest.ingest([_client("m0"), _company("p0", is_person=True), closed, _client("m1")])
    outcomes = await _outcomes(store)
    assert (outcomes["m0"][0], outcomes["m1"][0]) == ("handed_to_person", None)
    assert len(await _work(store)) == 1


async def test_given_a_silent_person_when_the_client_writes_after_the_time_then_the_bot_has_it_again(
    store: Store, ingest: IngestUseCases, clock: Any
) -> None:
    await ingest.ingest([_company("p0", is_person=True)])
    clock.advance(11 * 3600)
    await ingest.ingest([_client("m0")])
    assert not await _work(store)
    clock.advance(3600)
    await ingest.ingest([_client("m1")])
    outcomes = await _outcomes(store)
    assert (outcomes["m0"][0], outcomes["m1"][0]) == ("handed_to_person", None)


async def test_given_an_account_that_refuses_old_messages_when_one_arrives_then_it_is_not_answered(
    store: Store, ingest: IngestUseCases
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    await ingest.ingest([_client("m0", account="old", at=long_ago), _client("m1", at=long_ago)])
    outcomes = await _outcomes(store)
    assert outcomes == {"m0": ("not_answered", "too_old"), "m1": (None, None)}
    assert [row.account_id for row in await _work(store)] == ["12345"]


async def test_given_an_item_that_the_database_refuses_when_stored_with_others_then_it_is_rejected_alone(
    store: Store, ingest: IngestUseCases
) -> None:
    bad = Item("12345", "chat-2", ClientMessage(Content("bad", LONE_SURROGATE)))
    results = await ingest.ingest([_client("m0"), bad, _client("m1"), _client("m0")])
    assert [result.outcome for result in results] == [STORED, REJECTED, STORED, DUPLICATE]
    assert set(await _outcomes(store)) == {"m0", "m1"}
    chats = await store.read(
        lambda connection, _now: set(connection.execute(select(CONVERSATIONS.c.kommo_chat_id)).scalars())
    )
    assert chats == {"chat-1"}


async def test_given_many_calls_at_once_when_one_is_cancelled_then_the_others_are_stored(
    store: Store, ingest: IngestUseCases
) -> None:
    calls = [asyncio.create_task(ingest.ingest([_client(f"m{n}")])) for n in range(50)]
    await asyncio.sleep(0)
    calls[7].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[7], asyncio.CancelledError)
    stored = [result for result in results if isinstance(result, list)]
    assert [result[0].outcome for result in stored] == [STORED] * 49
    assert {f"m{n}" for n in range(50) if n != 7} <= set(await _outcomes(store))


async def test_given_calls_over_the_size_of_a_batch_when_made_at_once_then_each_gets_its_own_results(
    store: Store,
) -> None:
    ingest = IngestUseCases(store, ACCOUNTS, most_items=3, limit_seconds=10)

    async def call(n: int) -> list[IngestResult]:
        return await ingest.ingest([_client(f"m{n}-{k}", chat=f"chat-{n}") for k in range(n % 5 + 1)])

    results = await asyncio.gather(*(call(n) for n in range(20)))
    assert [len(found) for found in results] == [n % 5 + 1 for n in range(20)]
    assert len({found[0].conversation_id for found in results}) == 20
    await ingest.aclose()


async def test_given_messages_of_many_chats_in_any_order_when_calls_cross_then_all_are_stored(
    store: Store,
) -> None:
    # Two batchers on one store lock as two replicas would.
    one, other = (IngestUseCases(store, ACCOUNTS, limit_seconds=10) for _ in range(2))
    chats = [f"chat-{n}" for n in range(30)]
    for n in range(10):
        await asyncio.gather(
            one.ingest([_client(f"a{n}-{chat}", chat) for chat in chats]),
            other.ingest([_client(f"b{n}-{chat}", chat) for chat in reversed(chats)]),
        )
    counts = await store.read(
        lambda connection, _now: connection.execute(select(func.count(), func.sum(CONVERSATIONS.c.message_count))).one()
    )
    assert tuple(counts) == (30, 600)


async def test_given_a_delivery_under_way_when_its_echo_arrives_then_no_second_message_is_stored(
    store: Store, ingest: IngestUseCases
) -> None:
    [stored] = await ingest.ingest([_client("m0")])

    def add_delivery(connection: Connection, now: datetime) -> None:
        connection.execute(
            insert(DELIVERIES).values(
                id=uuid4(),
                account_id="12345",
                conversation_id=stored.conversation_id,
                sequence=1,
                kind="reply",
                text="Sí, tenemos ollas.",
                floor_number=1,
                attempt_count=1,
                first_unread_at=now,
                unclear_since_at=now,
                created_at=now,
            )
        )

    await store.write(add_delivery)
    echo = _company("k1", is_person=False, text="Sí, tenemos ollas.")
    first = await ingest.ingest([echo, _client("m1")])
    again = await ingest.ingest([echo])
    assert (first[0].outcome, again[0].outcome) == (STORED, DUPLICATE)

    def find(connection: Connection, _now: datetime) -> tuple[Any, Any, Any]:
        return (
            connection.scalar(select(DELIVERIES.c.state).where(DELIVERIES.c.kind == "reply")),
            connection.scalar(select(func.count()).where(MESSAGES.c.role == "assistant")),
            connection.execute(select(CONVERSATIONS.c.message_count, CONVERSATIONS.c.bot_message_count)).one(),
        )

    state, number, counts = await store.read(find)
    assert (state, number, tuple(counts)) == ("sent", 1, (3, 1))


async def test_given_long_texts_when_ingested_then_they_are_cut_and_impossible_links_left_out(
    store: Store, ingest: IngestUseCases
) -> None:
    content = Content("m0", "x" * 70_000, "picture", "https://example.com/" + "a" * 9000, "f" * 300)
    item = replace(_client("m0"), event=ClientMessage(content), contact_name="n" * 300)
    [result] = await ingest.ingest([item])
    row = await store.read(lambda connection, _now: connection.execute(select(MESSAGES)).one())
    assert result.outcome is STORED
    assert (len(row.content), row.media_url, len(row.file_name)) == (65_536, None, 255)


async def test_given_a_call_that_fails_unlike_others_when_they_share_a_batch_then_it_fails_alone(
    store: Store, ingest: IngestUseCases
) -> None:
    broken: Any = Item("12345", "chat-9", "no event")  # type: ignore[arg-type]
    calls = [ingest.ingest([_client(f"m{n}")]) for n in range(5)]
    results = await asyncio.gather(*calls, ingest.ingest([broken]), return_exceptions=True)
    assert isinstance(results[5], AttributeError)
    assert [found[0].outcome for found in results[:5] if isinstance(found, list)] == [STORED] * 5
