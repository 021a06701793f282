"""Any process may be killed at any instant; every message still has exactly one reply."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until
from support.postgres import PostgresCluster, running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATS = 24
VICTIMS = ("worker", "conversation", "web", "intent", "llm", "kommo")


@pytest.fixture(scope="module")
def cluster():
    with running_postgres() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    url = cluster.make_database("mesh")
    # Kommo switches a subscription off after a hundred failures, those of its copies and talk events included: with the
    # messages alone, six crashes in a row stay below that.
    environ = {
        "MESH_STORE_SECONDS": "0.9",
        "MESH_SIMULATOR_RAISE_UNSORTED": "false",
        "MESH_SIMULATOR_RAISE_TALK_EVENTS": "false",
    }
    async with running_mesh(folder, url, split_gateway=True, environ=environ) as running:
        yield running


async def unanswered(mesh: Mesh, chats: list[str]) -> list[str]:
    return [chat for chat in chats if not await mesh.replies(chat)]


async def test_given_load_when_each_process_in_turn_is_killed_and_restarted_then_each_chat_has_exactly_one_reply(
    mesh: Mesh,
):
    chats: list[str] = []
    for victim in VICTIMS:
        own = [f"{victim}-{index}-{uuid4().hex[:6]}" for index in range(CHATS)]
        for chat in own[: CHATS // 2]:
            await mesh.client_writes("¿a qué hora abren?", chat)
        # The first replies are on their way when the process dies.
        await mesh.wait_for_replies(own[0])
        await mesh.kill(victim)
        for chat in own[CHATS // 2 :]:
            await mesh.client_writes("¿a qué hora abren?", chat)
        await mesh.start(victim)
        chats += own

    async def all_answered() -> bool:
        return not await unanswered(mesh, chats)

    # What a killed worker held comes back when its lease ends.
    await until(all_answered, 300)
    await quiet(mesh)
    counts = {chat: len(await mesh.replies(chat)) for chat in chats}
    assert counts == dict.fromkeys(chats, 1)


async def quiet(mesh: Mesh) -> None:
    """Return when nothing is due or waiting any more."""

    async def look() -> bool:
        pending = (await mesh.kommo.get("/control/webhooks")).json()["pending"]
        return pending == 0

    await until(look)


async def test_given_database_stopped_when_a_webhook_comes_then_503_and_all_is_well_afterwards(
    mesh: Mesh, cluster: PostgresCluster
):
    body = question("down", 4242)
    cluster.stop()
    try:
        answers = await asyncio.gather(*(mesh.web.post("/api/kommo/webhook", json=body) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [503] * 5
    finally:
        cluster.start()

    assert len(await reply_once_stored(mesh, body, 4242)) == 1


async def test_given_database_frozen_when_webhooks_come_then_503_and_each_is_answered_once_afterwards(
    mesh: Mesh, cluster: PostgresCluster
):
    contacts = range(4300, 4312)
    bodies = {contact: question("frozen", contact) for contact in contacts}
    # Some are on their way to the reply when the database stops to answer.
    for contact in contacts[:6]:
        assert (await mesh.web.post("/api/kommo/webhook", json=bodies[contact])).status_code == 200
    cluster.freeze()
    try:
        for _ in range(6):
            answers = await asyncio.gather(
                *(mesh.web.post("/api/kommo/webhook", json=bodies[contact]) for contact in contacts[6:])
            )
            assert [answer.status_code for answer in answers] == [503] * 6
    finally:
        cluster.thaw()
    for contact in contacts:
        assert len(await reply_once_stored(mesh, bodies[contact], contact)) == 1
    await quiet(mesh)
    deliveries = (await mesh.kommo.get("/control/deliveries")).json()["deliveries"]
    counts = Counter(one["chat_id"] for one in deliveries)
    assert [counts[f"contact-{contact}"] for contact in contacts] == [1] * 12


def question(name: str, contact: int) -> dict:
    """Return a webhook of a chat that the simulator knows by its contact."""
    chat = f"{name}-{uuid4().hex[:8]}"
    message = {
        "id": f"m-{chat}",
        "chat_id": chat,
        "text": "¿a qué hora abren?",
        "origin": "whatsapp",
        "contact_id": contact,
        "author": {"type": "contact", "name": "Cliente"},
    }
    return {"account": {"id": "12345", "subdomain": "test"}, "message": {"add": [message]}}


async def reply_once_stored(mesh: Mesh, body: dict, contact: int) -> list[dict]:
    """Send a webhook until it is accepted, as Kommo does, and return the replies that it gets."""

    async def stored() -> bool:
        return (await mesh.web.post("/api/kommo/webhook", json=body)).status_code == 200

    async def replied() -> list[dict]:
        deliveries = (await mesh.kommo.get("/control/deliveries")).json()["deliveries"]
        return [one for one in deliveries if one["chat_id"] == f"contact-{contact}"]

    await until(stored)
    return await until(replied)
