"""Who may use the guide's webhook and the Chats API webhook, and what the guide's own request gives."""

import hashlib
import hmac
import json

import pytest

from kommomesh.common.v1 import common_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = {
    "account": {"id": "31874205", "subdomain": "test"},
    "message": {
        "add": [
            {
                "id": "msg-test-001",
                "chat_id": "chat-test-001",
                "text": "Hola, necesito información",
                "origin": "whatsapp",
                "created_at": 1735520000,
                "contact_id": 999,
                "author": {"type": "contact", "name": "Cliente Test"},
            }
        ]
    },
}
HOOK = {
    "account_id": "1fc0353a-290f-5d64-b8fe-3d6f809da6fa",
    "message": {"conversation": {"id": "c1"}, "sender": {"id": "x"}, "message": {"id": "m1", "text": "hola"}},
}


def sign(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


async def test_given_open_account_when_guide_request_is_posted_twice_then_stored_once(shared_edge):
    first, second = await shared_edge.guide(BODY), await shared_edge.guide(BODY)

    assert (first.status_code, second.status_code) == (200, 200)
    assert set(first.json()) == {"status", "timestamp", "processingTimeMs", "messagesQueued"}
    assert (first.json()["messagesQueued"], second.json()["messagesQueued"]) == (1, 0)
    assert second.json()["ignored"] == {"duplicate": 1}
    (item,) = shared_edge.stored.items
    assert (item.contact_id, item.contact_name) == ("999", "Cliente Test")
    assert item.channel == common_pb2.CHANNEL_WHATSAPP
    assert item.client_message.create_time.seconds == 1735520000


async def test_given_closed_account_when_guide_request_is_posted_then_401(open_edge, account_with):
    async with open_edge(account_with(guide_webhook="closed"), account_with(id="2", guide_webhook="open")) as edge:
        assert (await edge.guide(BODY)).status_code == 401
        assert edge.stored.items == []


async def test_given_only_closed_accounts_when_anything_is_posted_then_401_unread(open_edge, account_with):
    async with open_edge(account_with(guide_webhook="closed")) as edge:
        assert (await edge.guide(b"[" * 10_000)).status_code == 401


@pytest.mark.parametrize(
    ("secret", "status"),
    [("fixture-guide-secret", 200), ("fixture-webhook-secret", 401), (None, 401)],
)
async def test_given_signed_account_when_guide_request_is_posted_then_signature_decides(
    open_edge, account_with, secret, status
):
    body = json.dumps(BODY).encode()
    headers = {"x-signature": sign(body, secret)} if secret else {}
    async with open_edge(account_with(guide_webhook="signed")) as edge:
        assert (await edge.guide(body, **headers)).status_code == status
        assert len(edge.stored.items) == (1 if status == 200 else 0)


async def test_given_signed_account_without_secret_when_posted_then_401(open_edge, account_with):
    body = json.dumps(BODY).encode()
    async with open_edge(account_with(guide_webhook="signed", secrets={})) as edge:
        assert (await edge.guide(body, **{"x-signature": sign(body, "")})).status_code == 401


@pytest.mark.parametrize("secret", ["fixture-webhook-secret", "older-webhook-secret"])
async def test_given_rotated_secrets_when_posted_then_each_valid_one_is_taken(shared_edge, secret):
    body = "account[id]=31874205&message[add][0][id]=m1&message[add][0][chat_id]=c1"

    assert (await shared_edge.crm(body, secret=secret)).json()["messagesQueued"] == 1


async def test_given_url_with_a_trailing_slash_when_posted_then_the_same(shared_edge):
    body = "account[id]=31874205&message[add][0][id]=m1&message[add][0][chat_id]=c1"

    assert (await shared_edge.crm(body, secret="fixture-webhook-secret/")).status_code == 200


async def test_given_two_accounts_when_secret_of_one_names_the_other_then_401(open_edge, account_with):
    secrets = {"webhook_secret": account_with().secrets["webhook_secret"][1:]}
    other = account_with(id="2", secrets=secrets)
    mine = account_with(secrets={"webhook_secret": account_with().secrets["webhook_secret"][:1]})
    body = "account[id]={}&message[add][0][id]=m1&message[add][0][chat_id]=c1"
    async with open_edge(mine, other) as edge:
        assert (await edge.crm(body.format("2"))).status_code == 401
        assert (await edge.crm(body.format("2"), secret="older-webhook-secret")).status_code == 200
        assert [item.account_id for item in edge.stored.items] == ["2"]


async def test_given_unknown_scope_when_signed_hook_is_posted_then_401(shared_edge, account_with):
    body = json.dumps(HOOK).encode()
    signature = sign(body, "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7")

    assert (await shared_edge.chats(body, signature)).status_code == 200
    assert (await shared_edge.chats(body, signature, scope_id="other")).status_code == 401
    assert (await shared_edge.chats(body, signature, scope_id="")).status_code == 401


async def test_given_hook_of_another_account_on_the_same_channel_when_posted_then_401(shared_edge):
    body = json.dumps({**HOOK, "account_id": "11111111-2222-5333-8444-555555555555"}).encode()

    assert (await shared_edge.chats(body, sign(body, "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7"))).status_code == 401
    assert shared_edge.stored.items == []


async def test_given_channel_without_secret_when_hook_is_posted_then_401(open_edge, account_with):
    body = json.dumps(HOOK).encode()
    async with open_edge(account_with(secrets={})) as edge:
        assert (await edge.chats(body, sign(body, ""))).status_code == 401


@pytest.mark.parametrize("signature", ["", "abc", "g" * 40, "ñ" * 40, "0" * 39, "0" * 41, "0" * 40])
async def test_given_malformed_signature_when_hook_is_posted_then_401(shared_edge, signature):
    answer = await shared_edge.client.post(
        "/api/kommo/chats/cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa",
        content=json.dumps(HOOK).encode(),
        headers={"x-signature": signature.encode()},
    )

    assert answer.status_code == 401


async def test_given_signed_junk_when_posted_then_400(shared_edge):
    for body in (b"junk", b"[" * 10_000, b"[]"):
        answer = await shared_edge.chats(body, sign(body, "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7"))
        assert answer.status_code == 400
