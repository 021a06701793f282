"""Files and voice notes over the whole mesh: words are answered, files reach a person, nothing is said twice."""

import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until

from kommomesh_runtime.profile import load_profile

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZED = {"Authorization": "Bearer local-development-token"}
PROFILE = load_profile(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {"MESH_SIMULATOR_SERVE_MEDIA": "true"}
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", environ=environ) as running:
        yield running


async def new_chat(mesh: Mesh) -> dict[str, Any]:
    """Make a chat with a lead and return it."""
    body = {"chat_id": f"media-{uuid4().hex[:8]}", "lead": True}
    return dict((await mesh.kommo.post("/control/chats", json=body)).json())


def stored(mesh: Mesh) -> tuple[int, int]:
    """Return how many pictures have their file, and how many messages nobody has seen to."""
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        query = (
            "SELECT count(*) FILTER (WHERE media_url IS NOT NULL AND content_type = 'picture'), "
            "count(*) FILTER (WHERE role = 'user' AND outcome IS NULL) FROM kommo_messages"
        )
        files, unseen = connection.execute(query).fetchone()
    return int(files), int(unseen)


async def tasks(mesh: Mesh, chat: dict[str, Any], count: int) -> list[str]:
    """Return the texts of the lead's tasks as soon as there are so many."""

    async def look() -> list[str]:
        query = {"filter[entity_type]": "leads", "filter[entity_id]": chat["lead_id"], "limit": 250}
        answer = await mesh.kommo.get("/api/v4/tasks", params=query, headers=AUTHORIZED)
        found = answer.json()["_embedded"]["tasks"] if answer.status_code == 200 else []
        return [task["text"] for task in found] if len(found) >= count else []

    return await until(look)


async def test_given_receipt_with_a_question_when_sent_then_answered_and_one_task_with_the_file_and_the_bot_goes_on(
    mesh: Mesh,
):
    chat = await new_chat(mesh)
    receipt = {"type": "file", "file_name": "comprobante.pdf"}
    await mesh.client_writes("¿a qué hora abren?", chat["chat_id"], message_type="file", attachment=receipt)
    answer, shown = await mesh.wait_for_replies(chat["chat_id"], 2)
    assert "9" in answer["text"]
    assert shown["text"] == PROFILE.text("media_shown", "es")
    (task,) = await tasks(mesh, chat, 1)
    assert "archivo comprobante.pdf (application/pdf, " in task
    assert f" kB) {mesh.kommo.base_url}/media/" in task

    await mesh.client_writes("¿hacen envíos?", chat["chat_id"])
    await mesh.wait_for_replies(chat["chat_id"], 3)
    assert len(await tasks(mesh, chat, 1)) == 1


async def test_given_voice_twice_and_a_late_picture_when_sent_then_asked_once_then_a_person_and_no_more_words(
    mesh: Mesh,
):
    spoken, pictured = await new_chat(mesh), await new_chat(mesh)
    await mesh.client_writes("", spoken["chat_id"], message_type="voice")
    (asked,) = await mesh.wait_for_replies(spoken["chat_id"])
    await mesh.client_writes("", spoken["chat_id"], message_type="voice")
    await mesh.client_writes("", pictured["chat_id"], message_type="picture", late_file_seconds=0.5)
    (task,) = await tasks(mesh, spoken, 1)
    _, notice = await mesh.wait_for_replies(spoken["chat_id"], 2)
    assert asked["text"] == PROFILE.text("media_voice", "es")
    assert notice["text"] != asked["text"]
    assert "audio" in task

    await tasks(mesh, pictured, 1)
    (told,) = await mesh.wait_for_replies(pictured["chat_id"])
    assert told["text"].startswith(PROFILE.text("media_picture", "es"))

    await mesh.client_writes("", spoken["chat_id"], message_type="sticker")

    async def is_over() -> bool:
        return stored(mesh) == (1, 0)

    await until(is_over)
    assert len(await mesh.replies(pictured["chat_id"])) == 1
    assert len(await mesh.replies(spoken["chat_id"])) == 2
