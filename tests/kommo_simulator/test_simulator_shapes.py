"""What Kommo does less often: other shapes of a client's message, WhatsApp's window, an integration taken out."""

from urllib.parse import parse_qs

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.settings import LOCAL_CLIENT_UUID


async def _messages_of(receiver, kommo, **line):
    await kommo.play("Hola", name="Ana", **line)
    await kommo.quiet()
    return next(hook.fields for hook in receiver.hooks if any("[text]" in name for name in hook.fields))


async def test_given_the_documented_sample_when_a_client_writes_then_the_message_is_bare_and_the_account_last(
    start, receiver
):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False)
    fields = await _messages_of(receiver, kommo, shape="bare")
    assert fields["add[0][text]"] == "Hola"
    assert fields["add[0][author][type]"] == "external"
    assert not any(name.startswith("message") for name in fields)
    assert list(fields)[-1].startswith("account")


async def test_given_a_legacy_account_when_a_client_writes_then_the_newer_fields_are_missing(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False)
    fields = await _messages_of(receiver, kommo, shape="legacy", attachment={"type": "picture"})
    assert {"message[add][0][id]", "message[add][0][chat_id]", "message[add][0][text]"} <= fields.keys()
    newer = ("talk_id", "contact_id", "message_type", "author", "file_name")
    assert not any(f"[{name}]" in key for key in fields for name in newer)
    assert fields["message[add][0][attachment][type]"] == "picture"


async def test_given_several_messages_when_one_webhook_brings_them_then_each_has_its_index_and_is_stored(
    start, receiver
):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False)
    fields = await _messages_of(receiver, kommo, also=["¿Tienen stock?", "¿Y precio?"])
    assert [fields[f"message[add][{n}][text]"] for n in range(3)] == ["Hola", "¿Tienen stock?", "¿Y precio?"]
    assert len({fields[f"message[add][{n}][id]"] for n in range(3)}) == 3
    chat_id = fields["message[add][0][chat_id]"]
    listed = (await kommo.client.get(f"/control/chats/{chat_id}/messages")).json()["messages"]
    assert [one["text"] for one in listed] == ["Hola", "¿Tienen stock?", "¿Y precio?"]


@pytest.mark.parametrize(
    ("hours_ago", "origin", "status"), [(25, "waba", "error"), (23, "waba", "delivered"), (25, "telegram", "delivered")]
)
async def test_given_a_client_who_wrote_long_ago_when_sent_then_only_whatsapp_fails_and_only_in_the_status(
    start, hours_ago, origin, status
):
    kommo = await start()
    now = kommo.running.simulator.world.seconds()
    played = await kommo.play(origin=origin, created_at=now - hours_ago * 3600)
    assert (await kommo.send(played["talk_id"])).status_code == 202
    path = f"/control/deliveries?delivery_status={status}"
    assert await kommo.eventually(path, lambda body: len(body["deliveries"]) == 1)


async def test_given_an_uninstalled_integration_when_it_asks_then_token_webhooks_and_channel_are_gone(
    start, receiver, served_app
):
    asked: list[Request] = []

    async def hook(request: Request) -> Response:
        asked.append(request)
        return Response(status_code=200)

    kommo = await start(webhook_urls=(receiver.url,))
    async with served_app(Starlette(routes=[Route("/gone", hook)])) as url:
        answer = await kommo.client.post("/control/uninstall", json={"url": f"{url}/gone?from=kommo"})
        probed = await kommo.client.post("/control/probe", json={"url": f"{url}/gone"})
    assert (answer.status_code, answer.json()) == (201, {"status": 200})
    assert probed.json() == {"GET": 200, "HEAD": 200}
    query = parse_qs(str(asked[0].url.query))
    assert (query["account_id"], query["client_uuid"]) == (["12345"], [LOCAL_CLIENT_UUID])
    assert len(query["signature"][0]) == 64
    assert (await kommo.client.get("/api/v4/account")).status_code == 401
    assert (await kommo.webhooks())["subscriptions"] == []
    assert (await kommo.client.post("/control/install")).status_code == 204
    assert (await kommo.client.get("/api/v4/account")).status_code == 200


async def test_given_no_address_when_uninstalled_then_400(start):
    kommo = await start()
    assert (await kommo.client.post("/control/uninstall", json={"url": "ftp://x"})).status_code == 400
    assert (await kommo.client.get("/api/v4/account")).status_code == 200
