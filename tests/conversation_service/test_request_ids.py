"""Request ids are known for as long as somebody may repeat them, and then forgotten."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, func, insert, select

from conversation_service.adapters import requests
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import REQUEST_IDS
from conversation_service.domain.conversation import RequestIdReused

CONVERSATION = uuid4()


async def _claim(store: Store, request_id: UUID, method: str = "TakeOver") -> bool:
    return await store.write(
        lambda connection, now: requests.claim_request(connection, request_id, method, CONVERSATION, now)
    )


async def _count(store: Store) -> int:
    return await store.read(lambda connection, _now: connection.scalar(select(func.count()).select_from(REQUEST_IDS)))


async def test_given_old_requests_when_a_new_one_comes_then_a_batch_of_them_is_forgotten(store: Store) -> None:
    old = datetime.now(UTC) - requests.KEPT_FOR - timedelta(hours=1)
    row = {"method": "TakeOver", "conversation_id": CONVERSATION, "created_at": old}
    rows = [row | {"id": uuid4()} for _ in range(requests.FORGOTTEN_AT_ONCE + 50)]

    def add(connection: Connection, _now: datetime) -> None:
        connection.execute(insert(REQUEST_IDS), rows)

    await store.write(add)
    assert await _claim(store, uuid4())
    assert await _count(store) == 51
    assert await _claim(store, uuid4())
    assert await _count(store) == 2


async def test_given_a_request_of_yesterday_when_repeated_then_it_is_still_known(store: Store, clock) -> None:
    request_id = uuid4()
    assert await _claim(store, request_id)
    clock.advance((requests.KEPT_FOR - timedelta(minutes=1)).total_seconds())
    assert await _claim(store, uuid4())
    assert not await _claim(store, request_id)
    with pytest.raises(RequestIdReused):
        await _claim(store, request_id, "ResolveConversation")
