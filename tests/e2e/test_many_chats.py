"""Two hundred chats at once: each its reply, in order, with two replicas of everything that may have two."""

from uuid import uuid4

import pytest
from support.mesh import Mesh, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATS = 200


async def test_given_200_chats_at_once_when_each_asks_twice_then_each_has_its_replies_in_order(mesh: Mesh):
    chats = [f"many-{index}-{uuid4().hex[:6]}" for index in range(CHATS)]
    for chat in chats:
        await mesh.client_writes("¿a qué hora abren?", chat)

    async def answered(count: int) -> bool:
        return all([len(await mesh.replies(chat)) >= count for chat in chats])

    async def once() -> bool:
        return await answered(1)

    async def twice() -> bool:
        return await answered(2)

    await until(once, 300)
    for chat in chats:
        await mesh.client_writes("¿y dónde están?", chat)
    await until(twice, 300)
    for chat in chats:
        texts = [reply["text"] for reply in await mesh.replies(chat)]
        assert len(texts) == 2
        assert "9" in texts[0]
        assert "Rivadavia" in texts[1]
