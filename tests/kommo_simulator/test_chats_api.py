"""The Chats API of the own channel, with real signatures over real HTTP, and its webhooks."""

import asyncio
import hashlib
import hmac
import json
from email.utils import formatdate
from urllib.parse import urlsplit

import pytest

from kommo_simulator import SimulatorSettings
from kommo_simulator.settings import LOCAL_AMOJO_ID, LOCAL_BOT_ID, LOCAL_CHANNEL_ID, LOCAL_CHANNEL_SECRET

SCOPE = SimulatorSettings().scope_id
ROOT = f"/v2/origin/custom/{SCOPE}"
CLIENT = {"id": "wa-1", "name": "Elena V.", "profile": {"phone": "+5493510000001"}}
BOT = {"id": "bot", "name": "Aurora", "ref_id": LOCAL_BOT_ID}


async def _call(kommo, method, path, body=None, secret=LOCAL_CHANNEL_SECRET, **headers):
    content = b"" if body is None else json.dumps(body).encode()
    signed = {
        "Date": formatdate(usegmt=False),
        "Content-Type": "application/json",
        "Content-MD5": hashlib.md5(content).hexdigest(),
    }
    text = "\n".join((method, signed["Content-MD5"], "application/json", signed["Date"], urlsplit(path).path))
    signed["X-Signature"] = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
    return await kommo.client.request(method, path, content=content, headers=signed | headers)


def _event(msgid="in-1", sender=CLIENT, receiver=None, message=None, **payload):
    payload |= {"timestamp": 1788264000, "msec_timestamp": 1788264000161, "msgid": msgid, "conversation_id": "wa-1"}
    payload |= {"sender": sender, "message": message or {"type": "text", "text": "hola"}, "silent": False}
    return {"event_type": "new_message", "payload": payload | ({"receiver": receiver} if receiver else {})}


async def test_given_a_client_message_when_imported_then_the_answer_names_kommos_id(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message", "add_unsorted"))
    answer = await _call(kommo, "POST", ROOT, _event())
    new = answer.json()["new_message"]
    assert (new["ref_id"], new["sender_id"], new["receiver_id"]) == ("in-1", "wa-1", None)
    await receiver.until(lambda: len(receiver.hooks) == 2)
    fields = receiver.of("message.add")[0].fields
    assert fields["message[add][0][id]"] == new["msgid"]
    assert fields["message[add][0][origin]"] == "amo.ext.12345"


async def test_given_a_bot_message_when_imported_then_it_is_the_bots_and_raises_no_chats_hook(start, receiver):
    kommo = await start(chats_webhook_url=receiver.url)
    await _call(kommo, "POST", ROOT, _event())
    answer = await _call(kommo, "POST", ROOT, _event("out-1", BOT, {"id": "wa-1", "name": "Elena V."}))
    assert answer.json()["new_message"]["receiver_id"] == "wa-1"
    found = await kommo.deliveries(via="own_channel")
    assert [(delivery["author_type"], delivery["msgid"]) for delivery in found] == [("bot", "out-1")]
    assert (await kommo.quiet())["attempts"] == []
    assert len((await kommo.client.get("/control/chats")).json()["chats"]) == 1


async def test_given_a_sender_without_ref_id_when_imported_then_it_counts_as_an_outside_person(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    await _call(kommo, "POST", ROOT, _event("out-1", {"id": "assistant", "name": "Aurora"}, CLIENT))
    await receiver.until(lambda: len(receiver.hooks) == 1)
    assert receiver.hooks[0].fields["message[add][0][author][type]"] == "external"


async def test_given_the_same_msgid_at_once_when_imported_then_it_is_stored_once(start):
    kommo = await start()
    answers = await asyncio.gather(*(_call(kommo, "POST", ROOT, _event()) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert (await kommo.client.get("/control/status")).json()["messages"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "1788264000"},
        {"msgid": ""},
        {"sender": None},
        {"sender": {"id": "x"}},
        {"sender": BOT | {"ref_id": "nobody"}},
        {"message": {"type": "text"}},
        {"message": {"type": "hologram"}},
        {"message": {"type": "file", "media": "https://example.com/a"}},
        {"message": {"type": "location"}},
        {"source": {"external_id": "x" * 41}},
    ],
)
async def test_given_a_wrong_payload_when_imported_then_400_with_details(start, change):
    kommo = await start()
    event = _event()
    event["payload"] |= change
    refused = await _call(kommo, "POST", ROOT, event)
    assert refused.status_code == 400
    assert refused.json()["error_description"]


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        (ROOT, {"secret": "0" * 40}),
        (ROOT, {"Content-Type": "application/json; charset=utf-8"}),
        (ROOT, {"X-Signature": "abc"}),
        (ROOT, {"Date": "Wed, 15 Dec 2021 23:12:55 +0000"}),
        (ROOT, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        (f"/v2/origin/custom/{LOCAL_CHANNEL_ID}", {}),
    ],
)
async def test_given_a_wrong_signature_or_scope_when_called_then_403_and_nothing_is_stored(start, path, changed):
    kommo = await start()
    assert (await _call(kommo, "POST", path, _event(), **changed)).status_code == 403
    assert (await kommo.client.get("/control/status")).json()["messages"] == 0


async def test_given_connect_and_disconnect_when_called_then_the_scope_opens_and_closes(start):
    kommo = await start(channel_connected=False)
    channel = f"/v2/origin/custom/{LOCAL_CHANNEL_ID}"
    order = {"account_id": LOCAL_AMOJO_ID, "title": "Local", "hook_api_version": "v2"}
    assert (await _call(kommo, "POST", ROOT, _event())).status_code == 403
    connected = await _call(kommo, "POST", f"{channel}/connect", order)
    assert (connected.status_code, connected.json()["scope_id"]) == (200, SCOPE)
    assert (await _call(kommo, "POST", ROOT, _event())).status_code == 200
    gone = await _call(kommo, "DELETE", f"{channel}/disconnect", {"account_id": LOCAL_AMOJO_ID})
    assert (gone.status_code, gone.content) == (200, b"")
    assert (await _call(kommo, "POST", ROOT, _event("in-2"))).status_code == 403
    assert (await _call(kommo, "POST", "/v2/origin/custom/unknown/connect", order)).status_code == 404


async def test_given_a_chat_when_created_twice_then_one_id_and_history_is_read_by_it(start):
    kommo = await start()
    order = {"conversation_id": "wa-1", "user": CLIENT}
    first, second = [(await _call(kommo, "POST", f"{ROOT}/chats", order)).json() for _ in range(2)]
    assert first["id"] == second["id"]
    assert first["user"]["phone"] == "+5493510000001"
    history = f"{ROOT}/chats/{first['id']}/history?offset=0&limit=50"
    assert (await _call(kommo, "GET", history)).status_code == 204
    await _call(kommo, "POST", ROOT, _event())
    await _call(kommo, "POST", ROOT, _event("out-1", BOT, CLIENT))
    messages = (await _call(kommo, "GET", history)).json()["messages"]
    assert {message["message"]["client_id"] for message in messages} == {"in-1", "out-1"}
    assert (await _call(kommo, "GET", f"{ROOT}/chats/wa-1/history")).status_code == 204


async def test_given_a_message_when_edited_rated_and_reacted_to_then_it_changes(start):
    kommo = await start()
    id_ = (await _call(kommo, "POST", ROOT, _event("out-1", BOT, CLIENT))).json()["new_message"]["msgid"]
    edit = _event("out-1", BOT, CLIENT, {"type": "text", "text": "mejor así"}) | {"event_type": "edit_message"}
    assert (await _call(kommo, "POST", ROOT, edit)).status_code == 200
    status = {"msgid": id_, "delivery_status": 2}
    assert (await _call(kommo, "POST", f"{ROOT}/{id_}/delivery_status", status)).status_code == 200
    failed = {"msgid": id_, "delivery_status": -1}
    assert (await _call(kommo, "POST", f"{ROOT}/{id_}/delivery_status", failed)).status_code == 400
    assert (await _call(kommo, "POST", f"{ROOT}/nothing/delivery_status", status)).status_code == 404
    reaction = {"conversation_id": "wa-1", "msgid": "out-1", "user": {"id": "wa-1"}, "type": "react", "emoji": "👍"}
    assert (await _call(kommo, "POST", f"{ROOT}/react", reaction)).status_code == 200
    assert (await _call(kommo, "POST", f"{ROOT}/react", reaction | {"msgid": "no"})).status_code == 404
    typing = {"conversation_id": "wa-1", "sender": {"id": "wa-1"}, "duration_ms": 5000}
    assert (await _call(kommo, "POST", f"{ROOT}/typing", typing)).status_code == 204
    rating = {"type": "text", "text": "", "delivery_status": {"delivery_status": 1}}
    edit = _event("", BOT, CLIENT, rating, id=id_) | {"event_type": "edit_message"}
    assert (await kommo.deliveries())[0]["delivery_status"] == "read"
    assert (await _call(kommo, "POST", ROOT, edit)).status_code == 200
    found = (await kommo.deliveries())[0]
    assert (found["text"], found["delivery_status"], found["reactions"]) == ("mejor así", "delivered", ["👍"])


async def test_given_a_colleague_when_it_writes_in_the_own_channel_then_a_signed_hook_goes_out_once(start, receiver):
    receiver.statuses = [500]
    kommo = await start(chats_webhook_url=receiver.url + "/:scope_id")
    await _call(kommo, "POST", ROOT, _event())
    chat_id = (await kommo.client.get("/control/chats")).json()["chats"][0]["chat_id"]
    await kommo.client.post("/control/colleague-messages", json={"chat_id": chat_id, "text": "¡Hola!"})
    attempts = (await kommo.quiet())["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500]
    hook = receiver.hooks[0]
    assert hook.path.endswith(SCOPE)
    assert hook.body.endswith(b"}\n")
    expected = hmac.new(LOCAL_CHANNEL_SECRET.encode(), hook.body[:-1], hashlib.sha1).hexdigest()
    assert hook.headers["x-signature"] == expected
    message = json.loads(hook.body)["message"]
    assert message["conversation"] == {"id": chat_id, "client_id": "wa-1"}
    assert (message["message"]["text"], message["receiver"]["client_id"]) == ("¡Hola!", "wa-1")
    users = (await kommo.client.get("/api/v4/users?with=amojo_id")).json()["_embedded"]["users"]
    assert message["sender"]["id"] == users[0]["amojo_id"]


@pytest.mark.parametrize("echo", ["on", "internal"])
@pytest.mark.parametrize("order", ["after", "before"])
async def test_given_an_echo_as_chats_hook_when_the_bot_writes_then_a_signed_hook_names_the_author_wanted(
    start, receiver, order, echo
):
    kommo = await start(chats_webhook_url=receiver.url, echo=echo, echo_order=order, echo_shapes=("chats",))
    await _call(kommo, "POST", ROOT, _event())
    sent = await _call(kommo, "POST", ROOT, _event("out-1", BOT, {"id": "wa-1", "name": "Elena V."}))
    await receiver.until(lambda: len(receiver.hooks) == 1)
    message = json.loads(receiver.hooks[0].body)["message"]
    users = (await kommo.client.get("/api/v4/users?with=amojo_id")).json()["_embedded"]["users"]
    assert message["sender"]["id"] == {"on": LOCAL_BOT_ID, "internal": users[0]["amojo_id"]}[echo]
    assert message["message"]["id"] == sent.json()["new_message"]["msgid"]
