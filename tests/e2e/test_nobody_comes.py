"""A person is called and nobody comes: a second task, an alert and one line, each once, whatever dies on the way."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from support.alert_peer import AlertPeer, running_alert_peer
from support.mesh import Mesh, running_mesh, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a secret of the account's own systems"
AUTHORIZED = {"Authorization": "Bearer local-development-token"}
LONG_AGO = "2020-01-01 00:00:00.000000"
FOLLOWING = "('reminder', 'courtesy', 'alert')"
LINE = "Tu mensaje sigue en nuestra lista"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer() -> AsyncIterator[AlertPeer]:
    async with running_alert_peer(SECRET) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory, peer: AlertPeer) -> AsyncIterator[Mesh]:
    """A mesh whose business is always open and misses people after a day, which a test lets pass when it wants."""
    folder: Path = tmp_path_factory.mktemp("mesh")
    (folder / "business").mkdir()
    (folder / "business" / "business.toml").write_text('name = "Siempre abierto"\n')
    async with running_mesh(
        folder,
        f"sqlite:///{folder}/mesh.db",
        split_gateway=True,
        account_lines='profile = "../business"',
        handoff_lines=f'person_reminder_after_seconds = 86400\nalert_url = "{peer.url}"',
        secret_lines=f'alert_secret = [{{value = "{SECRET}"}}]',
    ) as running:
        yield running


async def asks_for_a_person(mesh: Mesh) -> dict[str, Any]:
    """Let the client of a new chat ask for a person; return the chat once the package and the notice have left."""
    body = {"chat_id": f"nobody-{uuid4().hex[:8]}", "lead": True}
    chat = dict((await mesh.kommo.post("/control/chats", json=body)).json())
    await mesh.client_writes("quiero hablar con una persona", chat["chat_id"])
    await mesh.wait_for_replies(chat["chat_id"])

    async def has_task() -> bool:
        return len(await tasks(mesh, chat)) == 1

    await until(has_task)
    return chat


async def tasks(mesh: Mesh, chat: dict[str, Any]) -> list[dict[str, Any]]:
    query = {"filter[entity_type]": "leads", "filter[entity_id]": chat["lead_id"], "limit": 250}
    answer = await mesh.kommo.get("/api/v4/tasks", params=query, headers=AUTHORIZED)
    return list(answer.json()["_embedded"]["tasks"]) if answer.status_code == 200 else []


def rows(mesh: Mesh, chat_id: str) -> dict[str, tuple[str, str]]:
    """Return state and conversation of what was written ahead for a chat, by kind."""
    query = (
        "SELECT d.kind, d.state, c.id FROM deliveries d JOIN kommo_conversations c ON c.id = d.conversation_id "
        f"WHERE c.kommo_chat_id = ? AND d.kind IN {FOLLOWING}"
    )
    with closing(sqlite3.connect(mesh.folder / "mesh.db", timeout=30)) as connection:
        return {kind: (state, key) for kind, state, key in connection.execute(query, (chat_id,))}


def let_the_day_pass(mesh: Mesh, *chat_ids: str) -> None:
    """Make what was written ahead for chats due now."""
    chosen = f"(SELECT id FROM kommo_conversations WHERE kommo_chat_id IN ({', '.join('?' * len(chat_ids))}))"
    with closing(sqlite3.connect(mesh.folder / "mesh.db", timeout=30)) as connection, connection:
        for statement in (
            f"UPDATE deliveries SET not_before_at = '{LONG_AGO}' WHERE kind IN {FOLLOWING} AND conversation_id IN",
            f"UPDATE delivery_work SET due_at = '{LONG_AGO}' WHERE lane <> 'message' AND conversation_id IN",
        ):
            connection.execute(f"{statement} {chosen}", chat_ids)


async def ended(mesh: Mesh, *chat_ids: str) -> None:
    """Return when nothing that was written ahead for chats waits any more."""

    async def look() -> bool:
        return all(state != "pending" for one in chat_ids for state, _ in rows(mesh, one).values())

    await until(look)


async def test_given_nobody_comes_when_the_time_has_passed_then_task_alert_and_one_line(mesh: Mesh, peer: AlertPeer):
    chat = await asks_for_a_person(mesh)
    chat_id = chat["chat_id"]
    peer.refusals = 1
    let_the_day_pass(mesh, chat_id)
    await ended(mesh, chat_id)
    written = rows(mesh, chat_id)
    assert {kind: state for kind, (state, _) in written.items()} == dict.fromkeys(written, "sent")
    assert len(written) == 3
    first, second = sorted(await tasks(mesh, chat), key=lambda task: task["id"])
    assert "Responder al cliente" in first["text"]
    assert "Nadie respondió todavía" in second["text"]
    assert first["text"].split()[-1] != second["text"].split()[-1]
    notice, line = await mesh.wait_for_replies(chat_id, 2)
    assert line["text"].startswith(LINE)
    assert notice["text"] != line["text"]
    (alert,) = peer.of(written["alert"][1])
    assert (alert["kind"], alert["account_id"], alert["reason"]) == ("nobody_came", "12345", "human_request")
    assert "persona" not in str(alert)
    assert peer.forged == 0


async def test_given_a_colleague_who_writes_when_the_time_has_passed_then_none_of_the_three(
    mesh: Mesh, peer: AlertPeer
):
    chat = await asks_for_a_person(mesh)
    chat_id = chat["chat_id"]
    await mesh.colleague_writes("Hola, soy Eva", chat_id)

    async def has_come() -> bool:
        query = "SELECT 1 FROM kommo_conversations WHERE kommo_chat_id = ? AND floor_holder = 'person'"
        with closing(sqlite3.connect(mesh.folder / "mesh.db", timeout=30)) as connection:
            return connection.execute(query, (chat_id,)).fetchone() is not None

    await until(has_come)
    let_the_day_pass(mesh, chat_id)
    await ended(mesh, chat_id)
    written = rows(mesh, chat_id)
    assert {kind: state for kind, (state, _) in written.items()} == {
        "reminder": "dropped",
        "courtesy": "dropped",
        "alert": "dropped",
    }
    assert len(await tasks(mesh, chat)) == 1
    assert len(await mesh.replies(chat_id)) == 1
    assert peer.of(written["alert"][1]) == []


async def test_given_processes_killed_between_them_when_the_time_has_passed_then_each_once(mesh: Mesh, peer: AlertPeer):
    chats = await asyncio.gather(*(asks_for_a_person(mesh) for _ in range(3)))
    ids = [chat["chat_id"] for chat in chats]
    wanted = Random(7).randint(1, 3 * len(chats) - 2)

    async def has_begun() -> bool:
        states = [state for one in ids for state, _ in rows(mesh, one).values()]
        return len([state for state in states if state != "pending"]) >= wanted

    let_the_day_pass(mesh, *ids)
    await until(has_begun)
    victims = ("worker", "kommo", "conversation")
    await asyncio.gather(*(mesh.kill(victim) for victim in victims))
    # Nobody holds anything any more: what the worker held need not wait for the end of its lease.
    let_the_day_pass(mesh, *ids)
    await mesh.start(*victims)
    await ended(mesh, *ids)
    for chat in chats:
        written = rows(mesh, chat["chat_id"])
        assert [state for state, _ in written.values()] == ["sent"] * 3
        assert len(await tasks(mesh, chat)) == 2
        assert len(await mesh.replies(chat["chat_id"])) == 2
        assert [alert["kind"] for alert in peer.of(written["alert"][1])] == ["nobody_came"]
