"""A client's message comes in from Kommo and one good reply goes out."""

import json
import sqlite3
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.mesh import FIXTURE_SECRET, WEBHOOK_SECRET, Mesh, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommo"
INDEX = json.loads((FIXTURES / "index.json").read_text())["items"]
CRM = [item for item in INDEX if item["kind"] == "crm_webhook"]
CHATS = [item for item in INDEX if item["kind"] == "chats_webhook"]


def guide_body(message_id: str, chat_id: str, contact_id: int) -> dict:
    message = {
        "id": message_id,
        "chat_id": chat_id,
        "text": "Hola, necesito información",
        "origin": "whatsapp",
        "created_at": 1735520000,
        "contact_id": contact_id,
        "author": {"type": "contact", "name": "Cliente Test"},
    }
    return {"account": {"id": "12345", "subdomain": "test"}, "message": {"add": [message]}}


def rows(mesh: Mesh, sql: str, *values: str) -> list[tuple]:
    with sqlite3.connect(mesh.folder / "mesh.db") as connection:
        found = connection.execute(sql, values).fetchall()
    connection.close()
    return found


def stored(mesh: Mesh, chat_id: str) -> list[tuple]:
    """Return (role, outcome) of a chat's messages."""
    return rows(
        mesh,
        "SELECT m.role, m.outcome FROM kommo_messages m JOIN kommo_conversations c ON c.id = m.conversation_id "
        "WHERE c.kommo_chat_id = ? ORDER BY m.ingested_at",
        chat_id,
    )


async def all_deliveries(mesh: Mesh) -> list[dict]:
    return (await mesh.kommo.get("/control/deliveries")).json()["deliveries"]


async def settled(mesh: Mesh, chat_id: str) -> list[tuple]:
    """Return the stored messages once every client message has its outcome."""

    async def look() -> list[tuple]:
        found = stored(mesh, chat_id)
        return found if found and all(outcome for role, outcome in found if role == "user") else []

    return await until(look)


async def test_given_the_guides_request_when_sent_twice_then_one_reply_in_kommo_and_in_the_table(mesh: Mesh):
    body = guide_body("msg-test-001", "chat-test-001", 999)
    first = await mesh.web.post("/api/kommo/webhook", json=body)
    second = await mesh.web.post("/api/kommo/webhook", json=body)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["messagesQueued"] == 1
    assert second.json()["messagesQueued"] == 0
    assert {"status", "timestamp", "processingTimeMs"} <= set(first.json())
    assert await settled(mesh, "chat-test-001") == [("user", "answered"), ("assistant", None)]
    sent = [one for one in await all_deliveries(mesh) if one["chat_id"] in {"chat-test-001", "contact-999"}]
    assert len(sent) == 1
    assert sent[0]["text"].strip()


async def test_given_webhook_when_stored_then_quick_answer_counts_nothing_else(mesh: Mesh):
    answer = await mesh.web.get("/api/kommo/webhook")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def renamed(body: str, unique: str) -> tuple[str, str | None]:
    """Return a form body on a conversation of its own: chat, talk and message ids made unique."""
    pairs = parse_qsl(body, keep_blank_values=True)
    made = []
    chat = None
    for key, value in pairs:
        if key.endswith("[chat_id]"):
            value = chat = f"{value}-{unique}"
        elif key.endswith("][id]") and key.startswith(("message[add]", "add[", "outgoing_message")):
            value = f"{value}-{unique}"
        elif key.endswith("[talk_id]"):
            value = str(int(unique, 16) % 10**9)
        made.append((key, value))
    return urlencode(made), chat


@pytest.mark.parametrize("item", CRM, ids=lambda item: item["file"])
async def test_given_crm_fixture_when_posted_then_result_is_the_expected_one(mesh: Mesh, item: dict):
    body, chat_id = renamed((FIXTURES / item["file"]).read_text(), uuid4().hex[:8])
    before = len(await all_deliveries(mesh))
    answer = await mesh.web.post(
        f"/api/kommo/webhook/{FIXTURE_SECRET}", content=body, headers={"Content-Type": item["content_type"]}
    )
    assert answer.status_code == 200
    assert answer.json()["messagesQueued"] == item["expected"]["client_messages"]
    kinds = {message["bot_should_answer"] for message in item["expected"]["messages"]}
    if item["expected"]["client_messages"] == 0:
        assert len(await all_deliveries(mesh)) == before
        return
    found = await settled(mesh, chat_id)
    outcomes = {outcome for role, outcome in found if role == "user"}
    if "yes" in kinds:
        assert outcomes == {"answered"}
        assert len(await all_deliveries(mesh)) > before
    else:
        assert outcomes <= {"answered", "handed_to_person"}


@pytest.mark.parametrize("item", CHATS, ids=lambda item: item["file"])
@pytest.mark.parametrize("change", ["valid", "newline", "wrong", "truncated", "missing"])
async def test_given_chats_vector_when_posted_then_only_the_right_signature_passes(mesh: Mesh, item: dict, change: str):
    body = (FIXTURES / item["file"]).read_bytes()
    signature = item["headers"]["X-Signature"]
    signed = body.rstrip(b"\r\n")
    headers = {
        "valid": {"X-Signature": signature},
        "newline": {"X-Signature": signature},
        "wrong": {"X-Signature": "0" * 40},
        "truncated": {"X-Signature": signature[:-1]},
        "missing": {},
    }[change]
    content = signed + b"\n" if change == "newline" else signed
    scope = "cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa"
    answer = await mesh.web.post(
        f"/api/kommo/chats/{scope}", content=content, headers={"Content-Type": "application/json", **headers}
    )
    assert answer.status_code == (200 if change in {"valid", "newline"} else 401)


async def test_given_bursts_of_three_when_written_then_one_reply_each_that_saw_all_three(mesh: Mesh):
    chats = [f"burst-{uuid4().hex[:8]}" for _ in range(2)]
    # Held back until all is written, so that no pause of a busy machine looks like one of the client.
    (await mesh.kommo.post("/control/webhooks/holds", json={"events": ["add_message"]})).raise_for_status()
    for text in ("Hola", "¿hasta qué hora abren?", "¿y hacen envíos al interior?"):
        for chat in chats:
            await mesh.client_writes(text, chat)
    (await mesh.kommo.delete("/control/webhooks/plan")).raise_for_status()
    for chat in chats:
        replies = await mesh.wait_for_replies(chat)
        outcomes = [outcome for role, outcome in await settled(mesh, chat) if role == "user"]
        assert outcomes == ["answered"] * 3
        assert len({reply["text"] for reply in replies}) == len(replies)
    turns = rows(mesh, "SELECT message_ids FROM turns ORDER BY leased_at DESC LIMIT 2")
    assert [len(json.loads(ids)) for (ids,) in turns] == [3, 3]


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "expected"),
    [
        ("POST", "/api/kommo/webhook", b"{not json", {"Content-Type": "application/json"}, 400),
        ("POST", "/api/kommo/webhook", b"[" * 10_000 + b"]" * 10_000, {"Content-Type": "application/json"}, 400),
        ("POST", "/api/kommo/webhook", b"\xff\xfe{}", {"Content-Type": "application/json"}, 400),
        ("POST", f"/api/kommo/webhook/{WEBHOOK_SECRET}", b"%%%=&&&=\xff\x00", {}, 400),
        ("POST", "/api/kommo/webhook/wrong-secret", b"account[id]=12345", {}, 401),
        ("POST", f"/api/kommo/webhook/{WEBHOOK_SECRET}", b"account[id]=999", {}, 401),
        ("POST", f"/api/kommo/webhook/{WEBHOOK_SECRET}", b"x" * 50_000_000, {}, 413),
        ("POST", f"/api/kommo/webhook/{WEBHOOK_SECRET}", b"account[id]=12345&message[add][0][text]=hola", {}, 200),
        ("HEAD", f"/api/kommo/webhook/{WEBHOOK_SECRET}", b"", {}, 200),
        ("POST", "/api/kommo/chats/unknown", b"{}", {}, 401),
        ("DELETE", "/api/kommo/webhook", b"", {}, 405),
        ("GET", "/nowhere", b"", {}, 404),
    ],
)
async def test_given_bad_input_when_sent_then_documented_status_and_no_traceback(
    mesh: Mesh, method: str, path: str, content: bytes, headers: dict, expected: int
):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await mesh.web.request(method, path, content=content, headers={**form, **headers})
    assert answer.status_code == expected
    assert "Traceback" not in answer.text
    assert WEBHOOK_SECRET not in mesh.log("gateway")


async def test_given_nul_and_bad_utf8_when_sent_in_a_message_then_stored_without_them(mesh: Mesh):
    chat = f"odd-{uuid4().hex[:8]}"
    body = (
        f"account[id]=12345&message[add][0][id]=m-{chat}&message[add][0][chat_id]={chat}&message[add][0][talk_id]=77"
        "&message[add][0][type]=incoming&message[add][0][author][type]=external&message[add][0][origin]=waba"
        "&message[add][0][text]=hola%00%ff%fe+precio"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await mesh.web.post(f"/api/kommo/webhook/{WEBHOOK_SECRET}", content=body, headers=headers)
    assert answer.status_code == 200
    assert (await settled(mesh, chat))[0][0] == "user"


async def test_given_running_mesh_when_reflected_then_each_service_lists_its_contract(mesh: Mesh):
    expected = {
        "conversation": {"ConversationService", "TurnService", "OutboxService"},
        "intent": {"IntentService"},
        "llm": {"ReplyService", "KnowledgeService"},
        "kommo": {"KommoService"},
    }
    for name, services in expected.items():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{getattr(mesh.ports, name)}") as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
            answer = await anext(aiter(call))
            listed = {one.name.rsplit(".", 1)[-1] for one in answer.list_services_response.service}
        assert services <= listed


async def test_given_logs_of_a_day_when_read_then_no_personal_data_in_them(mesh: Mesh):
    chat = f"private-{uuid4().hex[:8]}"
    await mesh.client_writes("mi clave es jirafa-violeta-77", chat, name="Remedios Azul")
    await settled(mesh, chat)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        for name in mesh.processes:
            if name != "simulator":
                assert "jirafa" not in mesh.log(name)
                assert "Remedios" not in mesh.log(name)
        await mesh.web.get("/api/kommo/webhook")
