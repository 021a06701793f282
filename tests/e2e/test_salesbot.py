"""Replies through Salesbots: a bot that waits is told once, one that prints a field prints once, and no other way."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, Mesh, running_mesh, until

from kommo_simulator.settings import LOCAL_CLIENT_SECRET, LOCAL_CLIENT_UUID
from kommomesh.conversation.v1 import conversation_service_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as pb_grpc
from kommomesh_runtime.parsing import from_time

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELD, BOT = 700, 48
ACCOUNT_LINES = f"""
transports = ["salesbot_return", "talk_message", "salesbot_field"]
salesbot = {{field_id = {FIELD}, bot_id = {BOT}}}
integration_id = "{LOCAL_CLIENT_UUID}"
public_url = "{{gateway}}"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {
        "MESH_SIMULATOR_SALESBOT_ID": str(BOT),
        "MESH_SIMULATOR_SALESBOT_FIELD_ID": str(FIELD),
        "MESH_SIMULATOR_SALESBOT_DELAY_SECONDS": "0.1",
        "MESH_SIMULATOR_ADOPT_UNKNOWN_CHATS": "false",
    }
    async with running_mesh(
        folder,
        f"sqlite:///{folder}/mesh.db",
        environ=environ,
        account_lines=ACCOUNT_LINES,
        secret_lines=f'client_secret = [{{value = "{LOCAL_CLIENT_SECRET}"}}]',
    ) as running:
        yield running


async def new_chat(mesh: Mesh) -> dict[str, Any]:
    answer = await mesh.kommo.post("/control/chats", json={"chat_id": f"bots-{uuid4().hex[:8]}"})
    return dict(answer.json())


async def bot_asks(mesh: Mesh, chat: dict[str, Any], **order: Any) -> None:
    """Let a bot ask the gateway, as it does in the middle of its dialogue, and wait.

    A bot has two seconds for its answer, which a busy machine may not manage at the first attempt.
    """
    url = f"http://127.0.0.1:{mesh.ports.gateway}/api/kommo/salesbot/{ACCOUNT}"
    body = {"chat_id": chat["chat_id"], "url": url, "prints": "reply", "bot_id": BOT, **order}

    async def is_answered() -> bool:
        answer = await mesh.kommo.post("/control/widget-requests", json=body)
        return bool(answer.json()["status"] == 200)

    await until(is_answered)


async def requests(mesh: Mesh, operation: str) -> int:
    answer = await mesh.kommo.get("/control/requests", params={"operation": operation})
    return len(answer.json()["requests"])


async def said(mesh: Mesh, chat: dict[str, Any]) -> list[str]:
    """Return by which ways the client got something, once nothing more is to be done."""
    await mesh.wait_for_replies(chat["chat_id"])

    async def look() -> bool:
        with sqlite3.connect(mesh.folder / "mesh.db") as connection:
            messages = "SELECT 1 FROM deliveries WHERE lane = 'message' AND state = 'pending'"
            return connection.execute(f"{messages} UNION SELECT 1 FROM turn_work").fetchone() is None

    await until(look)
    return [one["via"] for one in await mesh.replies(chat["chat_id"])]


async def is_handed_over(mesh: Mesh, chat: dict[str, Any]) -> bool:
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        query = "SELECT floor_holder FROM kommo_conversations WHERE kommo_chat_id = ?"
        return connection.execute(query, (chat["chat_id"],)).fetchone()[0] != "bot"


@pytest.mark.parametrize("order", [{}, {"as_form": True, "entity_type": "number"}])
async def test_given_a_bot_that_waits_when_its_client_writes_then_the_reply_comes_by_it_once(
    mesh: Mesh, order: dict[str, Any]
):
    chat, before = await new_chat(mesh), await requests(mesh, "send_message")
    await bot_asks(mesh, chat, **order)
    await mesh.client_writes("¿Tienen termos?", chat["chat_id"])
    assert await said(mesh, chat) == ["salesbot"]
    assert await requests(mesh, "send_message") == before
    assert not await is_handed_over(mesh, chat)


async def test_given_a_bot_that_has_gone_when_answered_then_the_reply_comes_by_the_next_way(mesh: Mesh):
    chat = await new_chat(mesh)
    await bot_asks(mesh, chat, lifetime_seconds=0)
    await mesh.client_writes("¿Tienen termos?", chat["chat_id"])
    assert await said(mesh, chat) == ["talk_message"]
    assert not await is_handed_over(mesh, chat)


async def test_given_a_hostile_address_when_answered_then_it_gets_nothing_and_the_next_way_says_it(mesh: Mesh):
    chat, before = await new_chat(mesh), await requests(mesh, "continue_bot")
    waits = pb.SalesbotRequest(
        return_url="https://test.kommo.com.evil.example/api/v4/salesbot/48/continue/1",
        expire_time=from_time(datetime.now(UTC) + timedelta(minutes=5)),
    )
    item = pb.IngestItem(account_id=ACCOUNT, lead_id=str(chat["lead_id"]), salesbot_request=waits)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel:
        await pb_grpc.ConversationServiceStub(channel).IngestMessages(pb.IngestMessagesRequest(items=[item]))
    await mesh.client_writes("¿Tienen termos?", chat["chat_id"])
    assert await said(mesh, chat) == ["talk_message"]
    assert await requests(mesh, "continue_bot") == before
    assert "return_url.refused" in mesh.log("kommo")
    assert "evil.example" not in mesh.log("kommo")


async def test_given_a_quota_that_is_used_up_when_answered_then_the_bot_prints_the_reply_once_even_after_a_crash(
    mesh: Mesh,
):
    (await mesh.kommo.patch("/control/settings", json={"quota": 1, "quota_used": 1})).raise_for_status()
    first = await new_chat(mesh)
    await mesh.client_writes("¿Tienen termos?", first["chat_id"])
    assert await said(mesh, first) == ["salesbot"]

    (await mesh.kommo.patch("/control/settings", json={"salesbot_delay_seconds": 2})).raise_for_status()
    second, before = await new_chat(mesh), await requests(mesh, "run_bot")
    await mesh.client_writes("¿Tienen termos?", second["chat_id"])

    async def is_launched() -> bool:
        return await requests(mesh, "run_bot") > before

    await until(is_launched)
    await mesh.kill("kommo")
    await mesh.start("kommo")
    assert await said(mesh, second) == ["salesbot"]
    assert not await is_handed_over(mesh, second)
