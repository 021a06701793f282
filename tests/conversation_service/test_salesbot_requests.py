"""A Salesbot that waits: the newest request of a lead is kept, a repeat changes nothing, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import CONVERSATIONS, SALESBOT_CONTINUATIONS, TURN_WORK
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.parsing import from_time

STORED, DUPLICATE = service_pb.INGEST_OUTCOME_STORED, service_pb.INGEST_OUTCOME_DUPLICATE
REJECTED = service_pb.INGEST_OUTCOME_REJECTED
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def _url(number: int) -> str:
    return f"https://test.kommo.com/api/v4/salesbot/1/continue/{number}"


def _request(number: int, lead: str = "77", **fields: Any) -> service_pb.IngestItem:
    waits = service_pb.SalesbotRequest(return_url=_url(number), expire_time=from_time(LATER))
    return service_pb.IngestItem(**{"account_id": "12345", "lead_id": lead, "salesbot_request": waits, **fields})


async def _ingest(stub: Any, *items: service_pb.IngestItem) -> list[service_pb.IngestResult]:
    return list((await stub.IngestMessages(service_pb.IngestMessagesRequest(items=items))).results)


async def _rows(store: Store) -> dict[str, tuple[str, bool]]:
    def find(connection: Connection, _now: datetime) -> dict[str, tuple[str, bool]]:
        table = SALESBOT_CONTINUATIONS
        query = select(table.c.lead_id, table.c.return_url, table.c.used_at)
        return {row[0]: (row[1], row[2] is not None) for row in connection.execute(query)}

    return await store.read(find)


async def _use(store: Store) -> None:
    await store.write(
        lambda connection, now: connection.execute(update(SALESBOT_CONTINUATIONS).values(used_at=now)).rowcount
    )


async def test_given_requests_of_leads_when_stored_then_the_newest_of_each_is_kept_and_no_turn_is_due(
    stub: Any, store: Store
) -> None:
    results = await _ingest(stub, _request(1), _request(2, lead="78"), _request(3), _request(3))

    assert [one.outcome for one in results] == [STORED, STORED, STORED, DUPLICATE]
    assert await _rows(store) == {"77": (_url(3), False), "78": (_url(2), False)}
    assert [one.outcome for one in await _ingest(stub, _request(4))] == [STORED]
    assert (await _rows(store))["77"] == (_url(4), False)
    for table in (CONVERSATIONS, TURN_WORK):
        assert await store.read(lambda connection, _now, of=table: connection.execute(select(of)).all()) == []


async def test_given_a_used_continuation_when_its_request_is_repeated_then_it_stays_used(
    stub: Any, store: Store
) -> None:
    await _ingest(stub, _request(1))
    await _use(store)

    (again,) = await _ingest(stub, _request(1))
    assert (again.outcome, await _rows(store)) == (DUPLICATE, {"77": (_url(1), True)})
    (new,) = await _ingest(stub, _request(2))
    assert (new.outcome, await _rows(store)) == (STORED, {"77": (_url(2), False)})


async def test_given_one_batch_with_messages_when_stored_then_each_item_has_its_own_result(
    stub: Any, store: Store
) -> None:
    message = service_pb.IngestItem(
        account_id="12345", chat_id="c", client_message=service_pb.ClientMessage(kommo_message_id="m", text="hola")
    )
    unknown = _request(5, account_id="999")
    no_time = _request(6, lead="1")
    no_time.salesbot_request.ClearField("expire_time")
    long_url = _request(7, lead="2")
    long_url.salesbot_request.return_url = "https://" + "x" * 2000
    results = await _ingest(stub, _request(1), message, unknown, _request(2, lead=""), no_time, long_url, message)

    outcomes = [one.outcome for one in results]
    unknown_account = service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN
    assert outcomes == [STORED, STORED, unknown_account, REJECTED, REJECTED, REJECTED, DUPLICATE]
    assert [bool(one.conversation_id) for one in results[:2]] == [False, True]
    assert await _rows(store) == {"77": (_url(1), False)}


async def test_given_the_same_leads_at_the_same_time_when_stored_then_one_row_each(stub: Any, store: Store) -> None:
    calls = [_ingest(stub, *(_request(number, lead=str(lead)) for lead in order)) for number, order in _orders()]
    await asyncio.gather(*calls)

    rows = await _rows(store)
    assert sorted(rows) == [str(lead) for lead in range(5)]
    assert all(not is_used for _, is_used in rows.values())


def _orders() -> list[tuple[int, list[int]]]:
    return [(number, list(range(5))[:: 1 if number % 2 else -1]) for number in range(12)]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_given_any_time_of_its_end_when_stored_then_it_is_kept_as_told(
    stub: Any, store: Store, hours: int
) -> None:
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    item = _request(1)
    item.salesbot_request.expire_time.CopyFrom(from_time(ends_at))
    await _ingest(stub, item)

    query = select(SALESBOT_CONTINUATIONS.c.expires_at)
    assert await store.read(lambda connection, _now: connection.scalar(query)) == ends_at
