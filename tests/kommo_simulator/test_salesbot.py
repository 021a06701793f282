"""Salesbot: the widget request that an integration receives, its token, and the continuation."""

import json

import jwt
import pytest

from kommo_simulator.settings import LOCAL_CLIENT_SECRET


async def _waiting(kommo, receiver, **order):
    played = await kommo.play()
    order |= {"chat_id": played["chat_id"], "url": receiver.url}
    answer = await kommo.client.post("/control/widget-requests", json=order)
    assert (answer.status_code, answer.json()["status"]) == (201, 200)
    return played, answer.json()["return_url"]


def _show(text):
    return {"handler": "show", "params": {"type": "text", "value": text}}


async def test_given_a_widget_request_when_received_then_its_token_holds_the_documented_claims(start, receiver):
    kommo = await start()
    played, return_url = await _waiting(kommo, receiver, data={"message": "{{message_text}}"})
    body = json.loads(receiver.hooks[0].body)
    audience = receiver.url.removesuffix("/hooks/secret")
    claims = jwt.decode(body["token"], LOCAL_CLIENT_SECRET, algorithms=["HS512"], audience=audience)
    assert (claims["account_id"], claims["entity_type"], claims["entity_id"]) == (12345, "lead", played["lead_id"])
    assert (body["return_url"], body["data"]) == (return_url, {"message": "{{message_text}}"})


async def test_given_a_form_installation_when_requested_then_the_body_is_a_form(start, receiver):
    kommo = await start()
    _, return_url = await _waiting(kommo, receiver, data={"message": "Hola ñ"}, as_form=True)
    assert receiver.hooks[0].headers["content-type"] == "application/x-www-form-urlencoded"
    fields = receiver.hooks[0].fields
    assert (fields["data[message]"], fields["return_url"]) == ("Hola ñ", return_url)


async def test_given_a_waiting_bot_when_continued_then_the_client_gets_it_once(start, receiver):
    kommo = await start()
    played, return_url = await _waiting(kommo, receiver, prints="reply")
    answer = {"data": {"reply": "Y esto"}, "execute_handlers": [_show("Hola")]}
    first, second = [await kommo.client.post(return_url, json=answer) for _ in range(2)]
    assert (first.status_code, second.status_code) == (202, 404)
    found = await kommo.deliveries(chat_id=played["chat_id"], via="salesbot")
    assert [delivery["text"] for delivery in found] == ["Hola", "Y esto"]


@pytest.mark.parametrize("handlers", [[_show("a" * 81)], [_show("")], [{"handler": "sing"}], [_show("a")] * 11])
async def test_given_handlers_beyond_the_limits_when_continued_then_400_and_the_bot_waits(start, receiver, handlers):
    kommo = await start()
    _, return_url = await _waiting(kommo, receiver)
    assert (await kommo.client.post(return_url, json={"execute_handlers": handlers})).status_code == 400
    assert (await kommo.client.post(return_url, json={"execute_handlers": [_show("a")]})).status_code == 202


async def test_given_a_second_bot_in_the_chat_when_the_first_is_continued_then_404(start, receiver):
    kommo = await start()
    played, return_url = await _waiting(kommo, receiver)
    again = {"chat_id": played["chat_id"], "url": receiver.url}
    await kommo.client.post("/control/widget-requests", json=again)
    assert (await kommo.client.post(return_url, json={"execute_handlers": [_show("a")]})).status_code == 404


async def test_given_a_bot_that_waits_no_longer_when_continued_then_404(start, receiver):
    kommo = await start()
    _, return_url = await _waiting(kommo, receiver, lifetime_seconds=0)
    assert (await kommo.client.post(return_url, json={"execute_handlers": [_show("a")]})).status_code == 404


async def test_given_a_numbered_kind_when_requested_then_the_token_says_two_for_a_lead(start, receiver):
    kommo = await start()
    await _waiting(kommo, receiver, entity_type="number")
    audience = receiver.url.removesuffix("/hooks/secret")
    token = json.loads(receiver.hooks[0].body)["token"]
    assert jwt.decode(token, LOCAL_CLIENT_SECRET, algorithms=["HS512"], audience=audience)["entity_type"] == 2


async def _write(kommo, lead_id, text, field=1):
    fields = {"custom_fields_values": [{"field_id": field, "values": [{"value": text}]}]}
    return await kommo.client.patch(f"/api/v4/leads/{lead_id}", json=fields)


async def test_given_a_launched_bot_when_it_speaks_then_it_prints_the_field_of_that_moment_in_the_lead_s_newest_chat(
    start,
):
    kommo = await start(salesbot_delay_seconds=1.5, salesbot_field_id=1, salesbot_id=9)
    played = await kommo.play()
    newer = (await kommo.client.post("/control/chats", json={"lead_id": played["lead_id"]})).json()
    await kommo.play("Hola", chat_id=newer["chat_id"])
    run = {"entity_id": played["lead_id"], "entity_type": "leads"}
    assert (await kommo.client.post("/api/v4/bots/8/run", json=run)).status_code == 404
    await _write(kommo, played["lead_id"], "otro campo", field=2)
    await _write(kommo, played["lead_id"], "antes")
    assert (await kommo.client.post("/api/v4/bots/9/run", json=run)).status_code == 202
    await _write(kommo, played["lead_id"], "después")
    found = await kommo.eventually("/control/deliveries", lambda body: body["deliveries"])
    assert [(one["text"], one["chat_id"]) for one in found["deliveries"]] == [("después", newer["chat_id"])]


async def test_given_a_launched_bot_when_stopped_then_it_says_nothing_and_its_dialogue_is_over(start, receiver):
    kommo = await start(salesbot_delay_seconds=600)
    played, return_url = await _waiting(kommo, receiver)
    await _write(kommo, played["lead_id"], "nunca")
    run = {"entity_id": played["lead_id"], "entity_type": "leads"}
    await kommo.client.post("/api/v4/bots/9/run", json=run)
    (task,) = kommo.running.simulator.world.bots.runs[played["chat_id"]]
    assert (await kommo.client.post("/api/v4/bots/9/stop", json=run)).status_code == 202
    await kommo.client.get("/control/status")
    assert task.cancelled() or task.done()
    assert (await kommo.client.post(return_url, json={"execute_handlers": [_show("a")]})).status_code == 404
    refused = await kommo.client.post("/api/v4/bots/9/stop", json={**run, "entity_type": "contacts"})
    assert refused.status_code == 400


async def test_given_a_text_longer_than_the_field_when_written_then_400_unless_it_is_a_text_area(start):
    kommo = await start()
    played = await kommo.play()
    assert (await _write(kommo, played["lead_id"], "a" * 257)).status_code == 400
    kind = (await kommo.client.get("/api/v4/leads/custom_fields/1")).json()["type"]
    await kommo.client.patch("/control/settings", json={"lead_field_limit": 0})
    assert (await _write(kommo, played["lead_id"], "a" * 257)).status_code == 200
    assert (kind, (await kommo.client.get("/api/v4/leads/custom_fields/1")).json()["type"]) == ("text", "textarea")
