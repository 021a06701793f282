"""The recorded requests of both APIs, sent to the simulator as they are: each gets the answer that was recorded."""

import hashlib
import hmac
import json
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommo"
INDEX = json.loads((FIXTURES / "index.json").read_text("utf-8"))
CHANNEL = INDEX["channel"]
USER = "db2aef5d-e204-580c-b10b-7f8f6a238708"
CHAT_REF, BOT_MESSAGE = "f1197ab8-f71b-5b12-ae75-6f3befb2483d", "14697732-e25d-5cae-b00f-3cc5b6d175b5"
LEAD, TALK, CHAT = "8412033", "4101", "72ff78ce-9d66-5162-811d-285c062f4440"
SETTINGS = {
    "account_id": INDEX["account"]["id"],
    "subdomain": INDEX["account"]["subdomain"],
    "amojo_id": INDEX["account"]["amojo_id"],
    "channel_id": CHANNEL["id"],
    "channel_secret": CHANNEL["secret"],
    "bot_id": CHANNEL["bot_id"],
    "channel_connected": False,
}


def recorded(name: str, **ids: str) -> dict[str, Any]:
    """Return a recorded exchange, with other ids where the simulator has made its own."""
    text = (FIXTURES / name).read_text("utf-8")
    for old, new in ids.items():
        text = text.replace(old.removeprefix("_"), new)
    found: dict[str, Any] = json.loads(text)
    return found


async def send_signed(kommo: Any, request: dict[str, Any]) -> Any:
    content = b"" if request["body"] is None else json.dumps(request["body"]).encode()
    path = request["path"] + (f"?{request['query']}" if "query" in request else "")
    headers = {
        "Date": formatdate(usegmt=False),
        "Content-Type": "application/json",
        "Content-MD5": hashlib.md5(content).hexdigest(),
    }
    text = "\n".join((request["method"], *(headers[name] for name in ("Content-MD5", "Content-Type", "Date"))))
    signed = f"{text}\n{urlsplit(path).path}".encode()
    headers["X-Signature"] = hmac.new(CHANNEL["secret"].encode(), signed, hashlib.sha1).hexdigest()
    return await kommo.client.request(request["method"], path, content=content, headers=headers)


def shape(value: Any) -> Any:
    """Return a body without its values: names and kinds."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if isinstance(value, str) else type(value).__name__


def is_like(answer: Any, response: dict[str, Any]) -> None:
    assert answer.status_code == response["status"], answer.text
    if isinstance(response["body"], dict):
        assert shape(answer.json()) == shape(response["body"])


@pytest.fixture
async def kommo(start: Any) -> Any:
    return await start(**SETTINGS)


async def test_given_recorded_chats_api_requests_when_sent_in_turn_then_each_is_answered_as_recorded(kommo: Any):
    users = (await kommo.client.get("/api/v4/users?with=amojo_id")).json()["_embedded"]["users"]
    ids = {USER: next(user["amojo_id"] for user in users if user["amojo_id"])}
    for name in ("connect", "create_chat", "new_message_client", "new_message_user", "new_message_bot"):
        exchange = recorded(f"chats_api_{name}.json", **ids)
        answer = await send_signed(kommo, exchange["request"])
        is_like(answer, exchange["responses"][0])
        ids |= {CHAT_REF: answer.json()["id"]} if name == "create_chat" else {}
        ids |= {BOT_MESSAGE: answer.json()["new_message"]["msgid"]} if name == "new_message_bot" else {}
    history = recorded("chats_api_history.json", **ids)
    shown = (await send_signed(kommo, history["request"])).json()["messages"]
    wanted = history["responses"][0]["body"]["messages"][0]
    assert shape(wanted) in [shape(one) for one in shown if one["message"]["client_id"] == "out-0003"]
    for name in ("new_message_file", "edit_message", "delivery_status", "react", "typing", "disconnect"):
        exchange = recorded(f"chats_api_{name}.json", **ids)
        is_like(await send_signed(kommo, exchange["request"]), exchange["responses"][0])

    reached = await kommo.deliveries(via="own_channel")
    failed = await kommo.deliveries(via="own_channel", delivery_status="error")
    assert [(one["text"], one["author_type"]) for one in reached] == [("Te ayudo yo", "internal")]
    assert [(one["text"], one["author_type"]) for one in failed] == [("Sí, tenemos 4 unidades.", "bot")]
    again = recorded("chats_api_new_message_client.json")["request"]
    assert (await send_signed(kommo, again)).status_code == 403


async def with_chat(kommo: Any) -> None:
    known = {"chat_id": CHAT, "talk_id": int(TALK), "contact_id": 41760001, "lead_id": int(LEAD), "origin": "waba"}
    assert (await kommo.client.post("/control/chats", json=known)).status_code == 201


async def call(kommo: Any, request: dict[str, Any]) -> Any:
    return await kommo.client.request(request["method"], request["path"], json=request.get("body"))


async def test_given_recorded_talk_requests_when_sent_then_each_is_answered_as_recorded(kommo: Any):
    await with_chat(kommo)
    await kommo.play("¿tienen el termo?", chat_id=CHAT)
    send, talk, messages = (recorded(f"rest_{name}.json") for name in ("send_message", "talk", "talk_messages"))

    is_like(await call(kommo, send["request"]), send["responses"][0])
    answer = await call(kommo, talk["request"])
    assert answer.status_code == 200
    assert shape(talk["responses"][0]["body"]).keys() <= shape(answer.json()).keys()
    assert (answer.json()["talk_id"], answer.json()["entity_type"]) == (int(TALK), "lead")
    answer = await call(kommo, messages["request"])
    recorded_message = messages["responses"][0]["body"]["_embedded"]["messages"][0]
    shown = answer.json()["_embedded"]["messages"]
    assert all(recorded_message.keys() <= one.keys() for one in shown)
    assert {one["author"]["type"] for one in shown} == {"external", "bot"}


async def test_given_recorded_requests_of_a_hand_over_when_sent_then_each_is_answered_as_recorded(kommo: Any):
    await with_chat(kommo)
    exchange = recorded("rest_escalation.json")
    for request, response in zip(exchange["request"]["calls"], exchange["responses"], strict=True):
        answer = await call(kommo, request)
        assert answer.status_code == response["status"], answer.text
        if response["body"] is not None:
            assert shape(response["body"]).keys() <= shape(answer.json()).keys()

    records = (await kommo.client.get(f"/control/chats/{CHAT}/records")).json()
    assert [note["params"]["text"] for note in records["notes"]] == ["Resumen para el equipo: pide devolución."]
    assert [task["text"] for task in records["tasks"]] == ["Atender chat de Lucía"]


async def test_given_recorded_bot_requests_when_sent_then_each_is_answered_as_recorded(kommo: Any):
    await with_chat(kommo)
    exchange = recorded("rest_salesbot_run.json")
    for request, response in zip(exchange["request"]["calls"], exchange["responses"], strict=True):
        answer = await call(kommo, request)
        assert answer.status_code == response["status"], answer.text
        assert (answer.text if isinstance(response["body"], str) else answer.json()) == response["body"]


async def test_given_the_recorded_continuation_when_sent_twice_then_202_and_then_the_recorded_404(
    kommo: Any, receiver: Any
):
    await with_chat(kommo)
    order = {"chat_id": CHAT, "url": receiver.url, "bot_id": 48211}
    waiting = (await kommo.client.post("/control/widget-requests", json=order)).json()
    exchange = recorded("salesbot_continue.json", _90017=str(waiting["continue_id"]))
    for response in exchange["responses"]:
        answer = await call(kommo, exchange["request"])
        assert answer.status_code == response["status"]
        if response["body"]:
            assert shape(answer.json()) == shape(response["body"])

    found = await kommo.deliveries(chat_id=CHAT, via="salesbot")
    assert [one["text"] for one in found] == ["¡Hola! Sí, hacemos envíos."]
