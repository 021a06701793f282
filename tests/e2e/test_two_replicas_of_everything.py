"""Nothing is alone: two of everything on one PostgreSQL, one of each killed in mid-load."""

from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until
from support.postgres import running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATS = 40
REPLICATED = ("conversation", "intent", "llm", "kommo", "worker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    with running_postgres() as cluster:
        url = cluster.make_database("mesh")
        # Messages alone: a hundred failures, copies included, would switch the subscription off.
        environ = {
            "MESH_SIMULATOR_RAISE_UNSORTED": "false",
            "MESH_SIMULATOR_RAISE_TALK_EVENTS": "false",
        }
        async with running_mesh(folder, url, split_gateway=True, replicated=True, environ=environ) as running:
            yield running


async def all_answered(mesh: Mesh, chats: list[str]) -> None:
    """Return when every chat has a reply and no webhook is on its way."""

    async def look() -> bool:
        pending = (await mesh.kommo.get("/control/webhooks")).json()["pending"]
        return pending == 0 and all([await mesh.replies(chat) for chat in chats])

    await until(look, 300)


@pytest.mark.parametrize("suffix", ["", "-2"])
async def test_given_load_when_one_of_each_is_killed_then_the_others_answer_every_chat_once(mesh: Mesh, suffix: str):
    chats = [f"replicas{suffix}-{index}-{uuid4().hex[:6]}" for index in range(CHATS)]
    for chat in chats[: CHATS // 2]:
        await mesh.client_writes("¿a qué hora abren?", chat)
    await mesh.wait_for_replies(chats[0])
    for name in REPLICATED:
        await mesh.kill(name + suffix)
    for chat in chats[CHATS // 2 :]:
        await mesh.client_writes("¿a qué hora abren?", chat)
    await all_answered(mesh, chats)
    await mesh.start(*(name + suffix for name in REPLICATED))
    await mesh.client_writes("¿y dónde están?", chats[0])
    await mesh.wait_for_replies(chats[0], 2)
    counts = {chat: len(await mesh.replies(chat)) for chat in chats}
    assert counts == {**dict.fromkeys(chats, 1), chats[0]: 2}


async def test_given_two_of_everything_when_nothing_fails_then_both_take_part(mesh: Mesh):
    chats = [f"both-{index}-{uuid4().hex[:6]}" for index in range(CHATS)]
    for chat in chats:
        await mesh.client_writes("¿a qué hora abren?", chat)
    await all_answered(mesh, chats)
    for name in ("worker", "worker-2"):
        assert '"event":"turn.completed"' in mesh.log(name)
    for name in ("kommo", "kommo-2"):
        assert '"event":"message.handled"' in mesh.log(name)
    for name in ("llm", "llm-2"):
        assert '"event":"reply.written"' in mesh.log(name)
