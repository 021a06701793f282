"""The endpoint for relays: signed posts in, everything else out, and Kommo's own events of such an account."""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.domain.events import Channel, ContentType
from gateway.domain.relay_posts import (
    RelayedClientMessage,
    RelayedStatus,
    RelayPostError,
    RelayStatus,
    read_relay_post,
)
from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import channel_message_pb2 as channel_pb
from kommomesh_runtime.accounts import Account, SecretRef
from kommomesh_runtime.relay import signed_headers

ACCOUNT, SECRET, OLDER = "31874205", "relay-secret", "older-relay-secret"
# The time of the gateway that the recorded requests need.
NOW = datetime.fromtimestamp(1788264005, UTC)
MESSAGE = {
    "conversation_id": "wa-1",
    "message_id": "wamid-1",
    "text": "hola",
    "contact": {"name": "Elena", "phone": "+5493510000001"},
    "timestamp": 1788264000,
}
PICTURE = {"type": "picture", "url": "https://files.example.com/a.jpg", "file_name": "a.jpg", "size": 1234}


def relay_account(account: Account) -> Account:
    assert account.channel is not None
    channel = account.channel.model_copy(
        update={"relay_url": "https://relay.example.com/messages", "messenger": "whatsapp"}
    )
    secrets = {**account.secrets, "relay_secret": tuple(SecretRef(value=SecretStr(one)) for one in (SECRET, OLDER))}
    return account.model_copy(update={"channel": channel, "secrets": secrets})


@pytest_asyncio.fixture
async def edge(open_edge: Any, account_with: Callable[..., Account]) -> AsyncIterator[Any]:
    async with open_edge(relay_account(account_with())) as found:
        yield found


async def post(edge: Any, content: Any, *, secret: str = SECRET, account: str = ACCOUNT, **changes: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {**signed_headers(secret, body, uuid4(), NOW), **changes}
    response: httpx.Response = await edge.client.post(f"/api/channel/{account}", content=body, headers=headers)
    return response


async def test_given_a_signed_message_when_posted_then_it_is_stored_as_the_clients_with_the_request_that_brought_it(
    edge: Any,
) -> None:
    first = await post(edge, {**MESSAGE, "media": PICTURE})
    again = await post(edge, MESSAGE, secret=OLDER)
    assert (first.status_code, first.json()["result"]) == (200, "stored")
    assert (again.status_code, again.json()["result"]) == (200, "duplicate")
    (item,) = edge.stored.items
    message = item.client_message
    assert (item.account_id, item.chat_id, item.contact_phone) == (ACCOUNT, "wa-1", "+5493510000001")
    assert (item.origin, item.channel) == ("amo.ext.31874205", common_pb2.CHANNEL_WHATSAPP)
    assert (message.kommo_message_id, message.text, message.is_from_relay) == ("relay:wamid-1", "hola", True)
    assert (message.content_type, message.file_size) == (common_pb2.CONTENT_TYPE_PICTURE, 1234)
    assert UUID(item.relay_request.request_id) != UUID(item.relay_request.arrival_id)


async def test_given_requests_that_are_not_the_relays_when_posted_then_401_and_nothing_is_stored(edge: Any) -> None:
    old = signed_headers(SECRET, json.dumps(MESSAGE).encode(), uuid4(), NOW - timedelta(minutes=6))
    answers = [
        await post(edge, MESSAGE, secret="another"),
        await post(edge, MESSAGE, account="unknown"),
        await post(edge, MESSAGE, **old),
        await post(edge, MESSAGE, **{"X-Relay-Signature": ""}),
        await post(edge, MESSAGE, **{"X-Relay-Signature": "0" * 64}),
        await post(edge, b"not json", secret="another"),
        await edge.client.post(f"/api/channel/{ACCOUNT}", json=MESSAGE),
    ]
    assert [one.status_code for one in answers] == [401] * len(answers)
    assert len({one.content for one in answers}) == 1
    assert edge.stored.items == []


async def test_given_an_account_without_relay_when_posted_then_401(open_edge: Any) -> None:
    async with open_edge() as edge:
        assert (await post(edge, MESSAGE)).status_code == 401


async def test_given_signed_bodies_that_cannot_be_read_when_posted_then_400_says_what_is_wrong(edge: Any) -> None:
    broken = await post(edge, b"{")
    missing = await post(edge, {**MESSAGE, "message_id": ""})
    form = await post(edge, MESSAGE, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (broken.status_code, broken.json()["error"]) == (400, "not_json")
    assert (missing.status_code, missing.json()["message"]) == (400, "message_id: is required")
    assert form.status_code == 415


async def test_given_storage_that_fails_when_posted_then_503_so_that_the_relay_repeats_it(
    open_edge: Any, account_with: Callable[..., Account]
) -> None:
    async with open_edge(relay_account(account_with()), chats_store_seconds=0.2) as edge:
        edge.stored.failures_left = 10_000
        answer = await post(edge, MESSAGE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"conversation_id": None}, "conversation_id"),
        ({"conversation_id": "x" * 201}, "conversation_id"),
        ({"message_id": "x" * 201}, "message_id"),
        ({"text": ""}, "text"),
        ({"text": "x" * 16_385}, "text"),
        ({"contact": "Elena"}, "contact"),
        ({"contact": {"phone": "1" * 41}}, "contact.phone"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"type": "reaction"}, "type"),
        ({"media": {**PICTURE, "type": "hologram"}}, "media.type"),
        ({"media": {**PICTURE, "url": "file:///etc/passwd"}}, "media.url"),
        ({"media": {**PICTURE, "url": "https://user:word@example.com/a"}}, "media.url"),
        ({"media": {**PICTURE, "size": -1}}, "media.size"),
        ({"media": {**PICTURE, "size": True}}, "media.size"),
        ({"media": {**PICTURE, "size": 0}}, "media"),
        ({"media": {**PICTURE, "file_name": ""}}, "media"),
    ],
)
def test_given_a_message_with_something_amiss_when_read_then_the_field_is_named(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(RelayPostError) as caught:
        read_relay_post({**MESSAGE, **changes}, "amo.ext.x", Channel.OTHER)
    assert str(caught.value).startswith(f"{field}: ")


def test_given_a_voice_note_without_text_when_read_then_it_is_one() -> None:
    media = {"type": "voice", "url": "https://files.example.com/a.ogg"}
    found = read_relay_post({**MESSAGE, "text": "", "media": media}, "amo.ext.x", Channel.OTHER)
    assert isinstance(found, RelayedClientMessage)
    assert (found.message.content.content_type, found.message.chat.contact_name) == (ContentType.VOICE, "Elena")


@pytest.mark.parametrize("changes", [{"id": "no-uuid"}, {"id": ""}, {"status": "sent"}, {"status": None}])
def test_given_a_status_with_something_amiss_when_read_then_refused(changes: dict[str, Any]) -> None:
    status = {"type": "status", "id": str(UUID(int=7)), "status": "failed", "error": "x" * 600}
    found = read_relay_post(status, "amo.ext.x", Channel.OTHER)
    assert found == RelayedStatus(UUID(int=7), RelayStatus.FAILED, "x" * 500)
    with pytest.raises(RelayPostError):
        read_relay_post({**status, **changes}, "amo.ext.x", Channel.OTHER)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner))
NAMES = ["type", "conversation_id", "message_id", "text", "media", "contact", "timestamp", "id", "status", "error"]
MEDIA = st.dictionaries(st.sampled_from(["type", "url", "size", "file_name", "name", "phone"]), VALUES)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES | MEDIA | st.sampled_from(["message", "status", "picture"])))
@settings(max_examples=150, deadline=None)
def test_given_any_body_when_read_then_it_is_a_post_or_refused_with_the_field(body: dict[str, Any]) -> None:
    problem = ""
    try:
        found: Any = read_relay_post(body, "amo.ext.x", Channel.OTHER)
    except RelayPostError as error:
        found, problem = None, str(error)
    assert isinstance(found, RelayedClientMessage | RelayedStatus) or problem.partition(": ")[0].split(".")[0] in NAMES


async def test_given_a_status_when_posted_then_it_is_stored_as_one(edge: Any) -> None:
    answer = await post(edge, {"type": "status", "id": str(UUID(int=7)), "status": "read"})
    assert answer.status_code == 200
    (item,) = edge.stored.items
    told = item.message_status
    assert (told.delivery_id, told.status) == (str(UUID(int=7)), channel_pb.RELAY_STATUS_READ)


CRM = (
    "account[id]=31874205&message[add][0][id]=k-1&message[add][0][chat_id]=ref-1&message[add][0][talk_id]=71"
    "&message[add][0][text]=hola&message[add][0][author][type]={author}&message[add][0][type]={type}"
    "&message[add][0][origin]={origin}"
)


async def test_given_kommos_events_of_the_own_channel_when_stored_then_they_are_copies_and_words_for_the_relay(
    edge: Any,
) -> None:
    own, native = "amo.ext.31874205", "waba"
    for kommo_id, author, kind, origin in (
        ("c", "external", "incoming", own),
        ("p", "internal", "outgoing", own),
        ("b", "bot", "outgoing", own),
        ("n", "external", "incoming", native),
        ("m", "internal", "outgoing", native),
    ):
        form = CRM.format(author=author, type=kind, origin=origin).replace("=k-1", f"={kommo_id}")
        assert (await edge.crm(form)).status_code == 200
    copy, person, bot, client, colleague = edge.stored.items
    assert (copy.client_message.is_mirrored_copy, copy.chat_id, copy.chat_ref_id) == (True, "ref-1", "ref-1")
    assert (person.company_message.is_for_relay, bot.company_message.is_for_relay) == (True, False)
    assert (client.client_message.is_mirrored_copy, client.chat_ref_id) == (False, "")
    assert (colleague.company_message.is_for_relay, colleague.chat_ref_id) == (False, "")


@pytest.mark.parametrize(
    ("sender", "is_for_relay"),
    [("db2aef5d-e204-580c-b10b-7f8f6a238708", True), ("another-bot", True), ("the-channels-bot", False)],
)
async def test_given_a_hook_of_the_chats_api_when_stored_then_it_names_both_ids_and_who_needs_the_relay(
    edge: Any, account_with: Callable[..., Any], sender: str, is_for_relay: bool
) -> None:
    account = account_with()
    who = account.channel.bot_id if sender == "the-channels-bot" else sender
    body = {
        "account_id": account.channel.amojo_id,
        "message": {
            "conversation": {"id": "ref-1", "client_id": "wa-1"},
            "sender": {"id": who},
            "receiver": {"id": "r", "phone": "5493510000001"},
            "message": {"id": "k-1", "type": "text", "text": "hola"},
        },
    }
    content = json.dumps(body).encode()
    secret = account.secret("channel_secret")[0].get_secret_value()
    assert (await edge.chats(content, signature(content, secret))).status_code == 200
    (item,) = edge.stored.items
    assert (item.chat_id, item.chat_ref_id, item.contact_phone) == ("wa-1", "ref-1", "5493510000001")
    assert item.company_message.is_for_relay is is_for_relay


def signature(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, "sha1").hexdigest()
