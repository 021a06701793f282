"""Every recorded shape through the real HTTP edge, against its expected result."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kommo"
INDEX = json.loads((FIXTURES / "index.json").read_text("utf-8"))
CRM = [item for item in INDEX["items"] if item["kind"] == "crm_webhook"]
CHATS = [item for item in INDEX["items"] if item["kind"] == "chats_webhook"]
SALESBOT = [item for item in INDEX["items"] if item["kind"] == "salesbot_request"]
VECTORS = json.loads((FIXTURES / "signature_vectors.json").read_text("utf-8"))["webhook_verification"]
CHANNELS = {
    "waba": common_pb2.CHANNEL_WHATSAPP,
    "com.amocrm.amocrmwa": common_pb2.CHANNEL_WHATSAPP,
    "telegram": common_pb2.CHANNEL_TELEGRAM,
    "instagram_business": common_pb2.CHANNEL_INSTAGRAM,
    "facebook": common_pb2.CHANNEL_FACEBOOK,
    "amo.ext.31874205": common_pb2.CHANNEL_OTHER,
}
IGNORED = {
    "crm_unsorted_add_chat.txt": {"unsorted_copy": 1},
    "crm_lead_status.txt": {"lead_event": 1},
    "crm_lead_note.txt": {"note": 1},
    "chats_hook_typing.json": {"typing": 1},
    "chats_hook_reaction.json": {"reaction": 1},
    "chats_hook_v1_text.json": {"dead_hook_version": 1},
}


def file_of(item: dict[str, Any]) -> str:
    return str(item["file"])


def content_name(value: int) -> str:
    return common_pb2.ContentType.Name(value).removeprefix("CONTENT_TYPE_").lower()


def check_message(item: service_pb.IngestItem, expected: dict[str, Any]) -> None:
    event = getattr(item, item.WhichOneof("event"))
    assert event.kommo_message_id == expected["message_id"]
    assert item.chat_id == expected["chat_id"]
    assert item.account_id == INDEX["account"]["id"]
    assert event.create_time.seconds > 0
    for name in ("talk_id", "contact_id", "origin"):
        if name in expected:
            assert getattr(item, name) == (expected[name] or "")
    if "text" in expected:
        assert event.text == expected["text"]
    if "origin" in expected:
        assert item.channel == CHANNELS[expected["origin"]]
    if expected.get("entity_type") == "lead":
        assert item.lead_id == expected["entity_id"]
    check_content(event, expected)


def check_content(event: Any, expected: dict[str, Any]) -> None:
    attachment = expected.get("attachment", {})
    if "message_type" in expected:
        kind = expected["message_type"] or attachment.get("type") or "text"
        assert content_name(event.content_type) == kind
    if "link" in attachment:
        assert event.media_url == attachment["link"]
        assert event.file_name == attachment["file_name"]


@pytest.mark.parametrize("item", CRM, ids=file_of)
async def test_given_crm_fixture_when_posted_then_stored_as_its_index_says(shared_edge, item):
    answer = await shared_edge.crm((FIXTURES / item["file"]).read_bytes(), **item["headers"])

    assert answer.status_code == 200
    expected = item["expected"]
    assert answer.json()["messagesQueued"] == expected["client_messages"]
    assert len(shared_edge.stored.client_messages()) == expected["client_messages"]
    assert answer.json().get("ignored", {}) == IGNORED.get(item["file"], {})
    messages = [found for found in shared_edge.stored.items if found.WhichOneof("event") != "talk_event"]
    assert len(messages) == len(expected["messages"])
    for found, wanted in zip(messages, expected["messages"], strict=True):
        check_message(found, wanted)


@pytest.mark.parametrize(
    ("file", "kind", "name"),
    [
        ("crm_out_user.txt", service_pb.AUTHOR_KIND_PERSON, "Paula M."),
        ("crm_message_wrapper", service_pb.AUTHOR_KIND_PERSON, "Paula M."),
        ("crm_out_bot.txt", service_pb.AUTHOR_KIND_BOT, "WhatsApp Business"),
    ],
)
async def test_given_company_message_when_posted_then_author_is_told(shared_edge, file, kind, name):
    file = "crm_in_message_wrapper_but_outgoing.txt" if file == "crm_message_wrapper" else file
    await shared_edge.crm((FIXTURES / file).read_bytes())

    (found,) = shared_edge.stored.items
    assert found.company_message.author_kind == kind
    assert found.company_message.author_name == name


@pytest.mark.parametrize(
    ("file", "kind", "seconds"),
    [
        ("crm_talk_add.txt", service_pb.TALK_EVENT_KIND_OPEN, 1788264000),
        ("crm_talk_update_closed.txt", service_pb.TALK_EVENT_KIND_CLOSED, 1788271200),
    ],
)
async def test_given_talk_when_posted_then_stored_as_talk_event(shared_edge, file, kind, seconds):
    answer = await shared_edge.crm((FIXTURES / file).read_bytes())

    (found,) = shared_edge.stored.items
    assert (found.talk_event.kind, found.talk_event.event_time.seconds) == (kind, seconds)
    assert (found.talk_id, found.lead_id) == ("4101", "8412033")
    assert answer.json()["messagesQueued"] == 0


def on_the_wire(item: dict[str, Any]) -> bytes:
    body = (FIXTURES / item["file"]).read_bytes()
    if item["trailing_newline_on_wire"] and not body.endswith(b"\n"):
        body += b"\n"
    return body


@pytest.mark.parametrize("item", CHATS, ids=file_of)
async def test_given_chats_fixture_when_posted_then_never_a_client_message(shared_edge, item):
    answer = await shared_edge.chats(on_the_wire(item), item["headers"]["X-Signature"])

    assert answer.status_code == 200
    assert answer.json()["messagesQueued"] == 0
    assert answer.json().get("ignored", {}) == IGNORED.get(item["file"], {})
    assert len(shared_edge.stored.items) == (0 if item["file"] in IGNORED else 1)
    for found in shared_edge.stored.items:
        assert found.company_message.author_kind == service_pb.AUTHOR_KIND_PERSON
        assert found.origin == "amo.ext.31874205"


async def test_given_picture_hook_when_posted_then_media_is_kept(shared_edge):
    item = next(found for found in CHATS if "picture" in found["file"])
    await shared_edge.chats(on_the_wire(item), item["headers"]["X-Signature"])

    (found,) = shared_edge.stored.items
    assert content_name(found.company_message.content_type) == "picture"
    assert found.company_message.media_url == "https://amojo.kommo.com/attachments/image.jpg"


@pytest.mark.parametrize("sender", [INDEX["channel"]["bot_id"], "somebody-else"])
async def test_given_sender_who_is_no_user_when_posted_then_a_bot(shared_edge, sender):
    body = (FIXTURES / "chats_hook_text.json").read_bytes()
    body = body.replace(b"db2aef5d-e204-580c-b10b-7f8f6a238708", sender.encode())
    signature = hmac.new(INDEX["channel"]["secret"].encode(), body, hashlib.sha1).hexdigest()

    assert (await shared_edge.chats(body, signature)).status_code == 200
    assert shared_edge.stored.items[0].company_message.author_kind == service_pb.AUTHOR_KIND_BOT


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
async def test_given_signature_vector_when_posted_then_accepted_as_it_says(shared_edge, vector):
    answer = await shared_edge.chats(vector["wire_body"].encode(), vector["x_signature"])

    assert answer.status_code == (200 if vector["valid"] else 401)


@pytest.mark.parametrize("item", SALESBOT, ids=file_of)
async def test_given_salesbot_fixture_when_posted_then_its_lead_can_be_answered(shared_edge, item):
    answer = await shared_edge.salesbot((FIXTURES / item["file"]).read_bytes(), item["content_type"])

    # The words in it are a copy of what a CRM webhook brings: were they taken too, the client would be answered twice.
    assert (answer.status_code, answer.json()["messagesQueued"]) == (200, 0)
    (found,) = shared_edge.stored.items
    assert (found.account_id, found.lead_id) == (INDEX["account"]["id"], "8412033")
    continuation = "https://fixture-tiendaaurora.kommo.com/api/v4/salesbot/48211/continue/90017"
    assert found.salesbot_request.return_url == continuation
