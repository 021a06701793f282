"""A person is called: Kommo ends with exactly one note and one task, whichever process dies on the way."""

import sqlite3
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZED = {"Authorization": "Bearer local-development-token"}
CHATS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", split_gateway=True) as running:
        yield running


async def listed(mesh: Mesh, path: str, name: str, **query: Any) -> list[dict]:
    answer = await mesh.kommo.get(path, params={"limit": 250, **query}, headers=AUTHORIZED)
    return answer.json()["_embedded"][name] if answer.status_code == 200 else []


async def notes(mesh: Mesh, chat: dict) -> list[dict]:
    """Return the notes on the lead and on the contact of a chat."""
    owners = [("leads", chat["lead_id"]), ("contacts", chat["contact_id"])]
    return [note for kind, one in owners if one for note in await listed(mesh, f"/api/v4/{kind}/{one}/notes", "notes")]


async def tasks(mesh: Mesh, chat: dict) -> list[dict]:
    """Return the tasks of the lead and of the contact of a chat."""
    owners = [("leads", chat["lead_id"]), ("contacts", chat["contact_id"])]
    queries = [{"filter[entity_type]": kind, "filter[entity_id]": one} for kind, one in owners if one]
    return [task for query in queries for task in await listed(mesh, "/api/v4/tasks", "tasks", **query)]


async def asks_for_a_person(mesh: Mesh, *, lead: bool = True, text: str = "quiero hablar con una persona") -> dict:
    """Let the client of a new chat ask for a person, and return the chat."""
    body = {"chat_id": f"hand-over-{uuid4().hex[:8]}", "lead": lead}
    chat = (await mesh.kommo.post("/control/chats", json=body)).json()
    await mesh.client_writes(text, chat["chat_id"])
    return dict(chat)


def work_left(mesh: Mesh) -> int:
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        found = connection.execute("SELECT (SELECT count(*) FROM delivery_work) + (SELECT count(*) FROM turn_work)")
        return int(found.fetchone()[0])


async def all_done(mesh: Mesh, chats: list[dict]) -> None:
    """Return when each chat has a note and a task, and nothing more is to be done."""

    async def look() -> bool:
        for chat in chats:
            if not (await notes(mesh, chat) and await tasks(mesh, chat)):
                return False
        return work_left(mesh) == 0

    await until(look, 300)


async def test_given_a_client_who_asks_for_a_person_when_handed_over_then_kommo_says_what_is_needed(mesh: Mesh):
    chat = await asks_for_a_person(mesh)
    await all_done(mesh, [chat])
    (note,), (task,) = await notes(mesh, chat), await tasks(mesh, chat)
    lines = note["params"]["text"].splitlines()
    assert len(lines) == 5
    assert "«quiero hablar con una persona»" in lines[0]
    assert task["text"].startswith("[")
    assert task["complete_till"] > note["created_at"]
    lead = (await mesh.kommo.get(f"/api/v4/leads/{chat['lead_id']}", headers=AUTHORIZED)).json()
    assert [tag["name"] for tag in lead["_embedded"]["tags"]] == ["persona"]
    assert len(await mesh.wait_for_replies(chat["chat_id"])) == 1


async def test_given_no_lead_when_handed_over_then_note_and_task_are_on_the_contact(mesh: Mesh):
    chat = await asks_for_a_person(mesh, lead=False)
    await all_done(mesh, [chat])
    (note,), (task,) = await notes(mesh, chat), await tasks(mesh, chat)
    assert (note["entity_type"], note["entity_id"]) == ("contacts", chat["contact_id"])
    assert (task["entity_type"], task["entity_id"]) == ("contacts", chat["contact_id"])


async def test_given_answers_that_never_come_when_handed_over_then_one_note_and_one_task(mesh: Mesh):
    for operation in ("add_notes", "add_tasks"):
        order = {"action": "reset_after", "match": {"operation": operation}, "times": 1}
        assert (await mesh.kommo.post("/control/faults", json=order)).status_code == 201
    chat = await asks_for_a_person(mesh)
    await all_done(mesh, [chat])
    assert (len(await notes(mesh, chat)), len(await tasks(mesh, chat))) == (1, 1)


async def test_given_processes_killed_at_random_points_when_handed_over_then_one_note_and_one_task_each(mesh: Mesh):
    random, chats = Random(4), []
    for victim in ("worker", "kommo", "conversation"):
        before = await done_so_far(mesh)
        chats += [await asks_for_a_person(mesh, lead=number % 3 > 0) for number in range(CHATS)]
        wanted = before + random.randint(1, 2 * CHATS - 2)

        async def reached(wanted: int = wanted) -> bool:
            return await done_so_far(mesh) >= wanted

        await until(reached)
        await mesh.kill(victim)
        await mesh.start(victim)
    await all_done(mesh, chats)
    found = Counter([(len(await notes(mesh, chat)), len(await tasks(mesh, chat))) for chat in chats])
    assert found == {(1, 1): len(chats)}


async def done_so_far(mesh: Mesh) -> int:
    status = (await mesh.kommo.get("/control/status")).json()
    return int(status["notes"] + status["tasks"])
