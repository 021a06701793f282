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
