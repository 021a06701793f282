"""Shapes of bodies, well-formed and hostile, through the real HTTP edge, against the result that their table states."""

import gzip
import hashlib
import hmac
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = Path(__file__).parents[2] / "fixtures" / "intake"
FORMS = tomllib.loads((TABLES / "forms.toml").read_text("utf-8"))["shape"]
JSONS = tomllib.loads((TABLES / "json.toml").read_text("utf-8"))["shape"]
ACCOUNT = b"account[id]=31874205&"
CHANNEL_SECRET = "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7"
PATHS = {
    "crm": "/api/kommo/webhook/fixture-webhook-secret",
    "guide": "/api/kommo/webhook",
    "chats": "/api/kommo/chats/cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa",
    "salesbot": "/api/kommo/salesbot/31874205",
}
TYPES = {"crm": "application/x-www-form-urlencoded"}
LONGEST_SECONDS = 60


def body_of(shape: dict[str, Any]) -> bytes:
    if "pieces" in shape:
        body = "".join(piece["text"] * piece.get("times", 1) for piece in shape["pieces"]).encode()
    else:
        body = shape["bytes"].encode("latin-1") if "bytes" in shape else shape["body"].encode()
    is_bare = shape.get("whole") or shape.get("hook", "crm") != "crm"
    return body if is_bare else ACCOUNT + body


def headers_of(shape: dict[str, Any], body: bytes) -> dict[str, str]:
    hook = shape.get("hook", "crm")
    content_type = shape.get("content_type", TYPES.get(hook, "application/json"))
    headers = {"content-type": content_type} if content_type else {}
    if hook == "chats":
        signed = hmac.new(CHANNEL_SECRET.encode(), body, hashlib.sha1).hexdigest()
        headers["x-signature"] = shape.get("signature", signed)
    return {**headers, "content-encoding": "gzip"} if shape.get("gzip") else headers


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


async def post(client: httpx.AsyncClient, shape: dict[str, Any]) -> httpx.Response:
    body = body_of(shape)
    headers = headers_of(shape, body)
    sent = gzip.compress(body) if shape.get("gzip") else body
    content = in_chunks(sent) if shape.get("chunked") else sent
    path = PATHS[shape.get("hook", "crm")]
    return await client.post(path, content=content, headers=headers, timeout=LONGEST_SECONDS)


def seen(item: service_pb.IngestItem) -> dict[str, Any]:
    """Return what a stored message says, by the names that the tables use."""
    event = getattr(item, item.WhichOneof("event"))
    found = {
        "id": event.kommo_message_id,
        "chat": item.chat_id,
        "text": event.text,
        "length": len(event.text),
        "damaged": "�" in event.text,
        "type": common_pb2.ContentType.Name(event.content_type).removeprefix("CONTENT_TYPE_").lower(),
        "at": event.create_time.seconds,
        "channel": common_pb2.Channel.Name(item.channel).removeprefix("CHANNEL_").lower(),
        "origin": item.origin,
        "lead": item.lead_id,
        "contact": item.contact_id,
    }
    if isinstance(event, service_pb.CompanyMessage):
        found["kind"] = service_pb.AuthorKind.Name(event.author_kind).removeprefix("AUTHOR_KIND_").lower()
    return found


def as_wanted(items: list[service_pb.IngestItem], event: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stored messages of a kind with just the fields that the table names."""
    found = [seen(item) for item in items if item.WhichOneof("event") == event]
    names = [*(one.keys() for one in wanted), *({"id": None} for _ in found[len(wanted) :])]
    return [{name: one[name] for name in chosen} for one, chosen in zip(found, names, strict=False)]


@pytest.mark.parametrize("shape", [*FORMS, *JSONS], ids=lambda shape: f"{shape.get('hook', 'crm')}: {shape['name']}")
async def test_given_shape_when_posted_then_its_table_says_what_becomes_of_it(shared_edge, shape):
    answer = await post(shared_edge.client, shape)

    status = shape.get("status", 200)
    assert (answer.status_code, answer.json().get("error")) == (status, shape.get("error"))
    items = shared_edge.stored.items
    for kind in ("client", "company"):
        assert as_wanted(items, f"{kind}_message", shape.get(kind, [])) == shape.get(kind, [])
    assert sum(item.WhichOneof("event") == "talk_event" for item in items) == shape.get("talks", 0)
    if status == 200:
        assert answer.json().get("ignored", {}) == shape.get("ignored", {})
        assert answer.json()["messagesQueued"] == len(shape.get("client", []))


async def test_given_tables_when_counted_then_no_name_is_there_twice():
    names = [(shape.get("hook", "crm"), shape["name"]) for shape in (*FORMS, *JSONS)]
    assert len(set(names)) == len(names) > 100
