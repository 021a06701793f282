"""Any process may be killed at any instant; every message still has exactly one reply."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until
from support.postgres import PostgresCluster, running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATS = 24


@pytest.fixture(scope="module")
def cluster():
    with running_postgres() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    url = cluster.make_database("mesh")
    environ = {"MESH_SIMULATOR_TIME_SCALE": "0.02"}
    async with running_mesh(folder, url, split_gateway=True, environ=environ) as running:
        yield running


async def unanswered(mesh: Mesh, chats: list[str]) -> list[str]:
    return [chat for chat in chats if not await mesh.replies(chat)]


@pytest.mark.parametrize("victim", ["web", "worker", "conversation", "intent", "llm", "kommo"])
async def test_given_load_when_a_process_is_killed_and_restarted_then_each_chat_has_exactly_one_reply(
    mesh: Mesh, victim: str
):
    chats = [f"{victim}-{index}-{uuid4().hex[:6]}" for index in range(CHATS)]
    for chat in chats[: CHATS // 2]:
        await mesh.client_writes("¿a qué hora abren?", chat)
    # The first replies are on their way when the process dies.
    await mesh.wait_for_replies(chats[0])
    await mesh.kill(victim)
    for chat in chats[CHATS // 2 :]:
        await mesh.client_writes("¿a qué hora abren?", chat)
    await mesh.start(victim)

    async def all_answered() -> bool:
        return not await unanswered(mesh, chats)

    await until(all_answered, 90)
    await quiet(mesh)
    counts = {chat: len(await mesh.replies(chat)) for chat in chats}
    assert counts == dict.fromkeys(chats, 1)


async def quiet(mesh: Mesh) -> None:
    """Return when nothing is due or waiting any more."""

    async def look() -> bool:
        pending = (await mesh.kommo.get("/control/webhooks")).json()["pending"]
        return pending == 0

    await until(look, 60)


async def test_given_database_stopped_when_a_webhook_comes_then_503_and_all_is_well_afterwards(
    mesh: Mesh, cluster: PostgresCluster
):
    chat = f"down-{uuid4().hex[:8]}"
    cluster.stop()
    try:
        body = {
            "account": {"id": "12345", "subdomain": "test"},
            "message": {
                "add": [
                    {
                        "id": f"m-{chat}",
                        "chat_id": chat,
                        "text": "¿a qué hora abren?",
                        "origin": "whatsapp",
                        "contact_id": 4242,
                        "author": {"type": "contact", "name": "Cliente"},
                    }
                ]
            },
        }
        answers = await asyncio.gather(*(mesh.web.post("/api/kommo/webhook", json=body) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [503] * 5
    finally:
        cluster.start()

    async def stored() -> bool:
        return (await mesh.web.post("/api/kommo/webhook", json=body)).status_code == 200

    await until(stored, 30)

    async def one_reply() -> list[dict]:
        deliveries = (await mesh.kommo.get("/control/deliveries")).json()["deliveries"]
        return [one for one in deliveries if one["chat_id"] == "contact-4242"]

    assert len(await until(one_reply, 30)) == 1
