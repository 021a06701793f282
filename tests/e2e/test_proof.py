"""Accepted is not delivered: what Kommo's record says of a reply is shown, and a person is told where it failed."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh, until

from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZED = {"Authorization": "Bearer local-development-token"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A mesh that decides within seconds, and whose Kommo reports none of its own messages back."""
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {
        "MESH_PROOF_FIRST_SECONDS": "0.3",
        "MESH_PROOF_SECOND_SECONDS": "1",
        "MESH_PROOF_LAST_SECONDS": "3",
        "MESH_SIMULATOR_ECHO": "off",
    }
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", environ=environ) as running:
        yield running


async def asks(mesh: Mesh) -> dict[str, Any]:
    """Let the client of a new chat ask something, and return the chat."""
    chat = (await mesh.kommo.post("/control/chats", json={"chat_id": f"proof-{uuid4().hex[:8]}"})).json()
    await mesh.client_writes("¿hasta qué hora abren?", chat["chat_id"])
    return dict(chat)


async def meets(mesh: Mesh, action: str) -> None:
    """Let the next message meet a fault at Kommo."""
    order = {"action": action, "match": {"operation": "send_message"}}
    assert (await mesh.kommo.post("/control/faults", json=order)).status_code == 201


async def sends(mesh: Mesh, chat: dict[str, Any]) -> int:
    """Return how often a message was sent into the chat's talk."""
    received = (await mesh.kommo.get("/control/requests")).json()["requests"]
    path = f"/api/v4/talks/{chat['talk_id']}/send_message"
    return sum(one["path"] == path for one in received)


def proof_row(mesh: Mesh, chat: dict[str, Any]) -> tuple[str, str, str, str] | None:
    """Return the delivery's id and the proof of a chat's only reply, once it is decided."""
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        found: tuple[str, str, str, str] | None = connection.execute(
            "SELECT d.id, d.proof_state, d.proof_source, d.proof_reason FROM deliveries d "
            "JOIN kommo_conversations c ON c.id = d.conversation_id "
            "WHERE c.kommo_chat_id = ? AND d.kind = 'reply' AND d.proved_at IS NOT NULL",
            (chat["chat_id"],),
        ).fetchone()
    return found


async def decided(mesh: Mesh, chat: dict[str, Any]) -> tuple[str, str, str, str]:
    async def look() -> tuple[str, str, str, str] | None:
        return proof_row(mesh, chat)

    found = await until(look)
    assert found is not None
    return found


async def notes(mesh: Mesh, chat: dict[str, Any]) -> list[str]:
    answer = await mesh.kommo.get(f"/api/v4/leads/{chat['lead_id']}/notes", headers=AUTHORIZED)
    return [one["params"]["text"] for one in answer.json()["_embedded"]["notes"]] if answer.status_code == 200 else []


async def person_told(mesh: Mesh, chat: dict[str, Any]) -> str:
    """Return the note of the hand-over as soon as Kommo has it."""

    async def look() -> list[str]:
        return await notes(mesh, chat)

    (note,) = await until(look)
    return note


async def trace_of(mesh: Mesh, delivery_id: str) -> conv.Trace:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel:
        request = service_pb.GetTraceRequest(delivery_id=delivery_id)
        return (await ConversationServiceStub(channel).GetTrace(request)).trace


async def test_given_a_reply_that_arrives_when_looked_for_then_the_trace_shows_that_it_was_delivered(mesh: Mesh):
    chat = await asks(mesh)
    delivery_id, state, source, _ = await decided(mesh, chat)
    assert (state, source) == ("delivered", "talk")
    trace = await trace_of(mesh, delivery_id)
    (shown,) = [one.proof for one in trace.deliveries if one.id == delivery_id]
    assert (shown.state, shown.source) == (conv.PROOF_STATE_DELIVERED, "talk")
    assert [message.outcome for message in trace.messages] == [conv.MESSAGE_OUTCOME_ANSWERED]
    assert len(await mesh.replies(chat["chat_id"])) == 1
    assert await notes(mesh, chat) == []


async def test_given_202_and_then_an_error_when_looked_for_then_a_person_is_told_and_nothing_is_repeated(mesh: Mesh):
    await meets(mesh, "delivery_error")
    chat = await asks(mesh)
    delivery_id, state, source, reason = await decided(mesh, chat)
    assert (state, source, reason) == ("failed", "talk", "delivery_error")
    assert "no se pudo entregar" in await person_told(mesh, chat)
    trace = await trace_of(mesh, delivery_id)
    assert [message.outcome for message in trace.messages] == [conv.MESSAGE_OUTCOME_HANDED_TO_PERSON]
    assert await sends(mesh, chat) == 1


async def test_given_202_and_then_nothing_when_the_last_look_is_over_then_a_person_is_told(mesh: Mesh):
    await meets(mesh, "swallow")
    chat = await asks(mesh)
    _, state, _, reason = await decided(mesh, chat)
    assert (state, reason) == ("failed", "no_proof")
    assert "no_proof" in await person_told(mesh, chat)
    assert await mesh.replies(chat["chat_id"]) == []
    assert await sends(mesh, chat) == 1
