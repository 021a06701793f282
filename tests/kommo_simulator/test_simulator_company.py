"""The company's side: inbox and phone, reopened talks, files that are served, hooks of the own channel."""

import base64
import hashlib
import hmac
import json

import pytest

from kommo_simulator import SimulatorSettings
from kommo_simulator.settings import LOCAL_CHANNEL_SECRET

OWN = SimulatorSettings().origin


async def _write(kommo, chat_id, text="Sigo yo", status=201, **line):
    order = {"chat_id": chat_id, "text": text, **line}
    answer = await kommo.client.post("/control/colleague-messages", json=order)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_given_the_phone_when_the_company_writes_then_no_user_is_named(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_outgoing_message",))
    await _write(kommo, (await kommo.play())["chat_id"], device="phone")
    await receiver.until(lambda: len(receiver.hooks) == 1)
    fields, root = receiver.hooks[0].fields, "outgoing_message[add][0]"
    assert (fields[f"{root}[author][type]"], f"{root}[author][user_id]" in fields) == ("internal", False)
    assert [delivery["via"] for delivery in await kommo.deliveries()] == ["phone"]


async def test_given_the_message_wrapper_when_the_company_writes_then_its_type_is_outgoing(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    chat_id = (await kommo.play())["chat_id"]
    await receiver.until(lambda: len(receiver.hooks) == 1)
    await _write(kommo, chat_id, wrapper="message")
    await receiver.until(lambda: len(receiver.hooks) == 2)
    fields = receiver.hooks[1].fields
    assert fields["message[add][0][type]"] == "outgoing"
    assert fields["message[add][0][author][type]"] == "internal"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ({"text": ""}, 400),
        ({"user": 1}, 400),
        ({"chat_id": "none"}, 404),
        ({"device": "fax"}, 400),
        ({"list_message": {}}, 400),
    ],
)
async def test_given_a_wrong_order_when_the_company_writes_then_it_is_refused(start, line, status):
    kommo = await start()
    await _write(kommo, **({"chat_id": (await kommo.play())["chat_id"], "status": status} | line))


async def test_given_a_closed_talk_when_reopened_by_hand_then_it_has_another_number(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_talk", "update_talk"))
    played = await kommo.play()
    reopen = f"/control/chats/{played['chat_id']}/reopen"
    assert (await kommo.client.post(reopen)).status_code == 422
    await kommo.client.post(f"/control/talks/{played['talk_id']}/close")
    reopened = (await kommo.client.post(reopen)).json()
    assert (reopened["is_in_work"], reopened["talk_id"] != played["talk_id"]) == (True, True)
    await receiver.until(lambda: len(receiver.hooks) == 3)
    assert (await kommo.send(played["talk_id"])).status_code == 422


async def test_given_late_media_when_played_then_a_second_webhook_brings_the_file_under_the_same_id(start, receiver):
    kommo = await start(
        webhook_urls=(receiver.url,), webhook_events=("add_message",), media_placeholder="mensaje vacío"
    )
    played = await kommo.play("", message_type="picture", late_file_seconds=0.05)
    await receiver.until(lambda: len(receiver.hooks) == 2)
    first, second = (hook.fields for hook in receiver.hooks)
    link = "message[add][0][attachment][link]"
    assert (link in first, link in second) == (False, True)
    ids = {fields["message[add][0][id]"] for fields in (first, second)}
    assert (ids, first["message[add][0][text]"]) == ({played["message_id"]}, "mensaje vacío")
    assert second["message[add][0][message_type]"] == "picture"


async def test_given_served_media_when_downloaded_by_its_link_then_bytes_and_safe_headers_come(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",), serve_media=True)
    await kommo.play("", message_type="picture")
    await receiver.until(lambda: len(receiver.hooks) == 1)
    link = receiver.hooks[0].fields["message[add][0][attachment][link]"]
    assert link.startswith(kommo.running.url + "/media/")
    file = await kommo.client.get(link)
    assert (file.status_code, file.headers["content-type"], file.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert file.headers["x-content-type-options"] == "nosniff"
    await kommo.fault("status", match={"operation": "get_media"}, status=503)
    assert (await kommo.client.get(link)).status_code == 503


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "../../etc/passwd", "ñ raro.exe"])
async def test_given_a_file_of_an_unsafe_kind_when_downloaded_then_it_is_bytes_to_keep(start, name):
    kommo = await start()
    content = b"<script>alert(1)</script>"
    file = {"type": "file", "file_name": name, "data": base64.b64encode(content).decode()}
    played = await kommo.play("", attachment=file)
    shown = (await kommo.client.get(f"/control/chats/{played['chat_id']}/messages")).json()["messages"][0]
    assert shown["attachment"]["link"].startswith("https://amojo.kommo.com/v2/")
    answer = await kommo.client.get(shown["media_path"])
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert (await kommo.client.get(shown["media_path"] + "x")).status_code == 404


async def test_given_data_that_is_no_base64_when_played_then_400(start):
    kommo = await start()
    order = {"attachment": {"type": "file", "data": "!!"}}
    assert (await kommo.client.post("/control/client-messages", json=order)).status_code == 400


async def test_given_a_chat_when_tied_to_a_contact_then_its_first_message_is_the_contacts(start):
    kommo = await start(adopt_unknown_chats=False)
    contact_id = (await kommo.play(name="Elena"))["contact_id"]
    chat = (await kommo.client.post("/control/chats", json={"origin": OWN})).json()
    tied = await kommo.client.post(
        "/api/v4/contacts/chats", json=[{"contact_id": contact_id, "chat_id": chat["chat_id"], "request_id": "r1"}]
    )
    shown = tied.json()["_embedded"]["chats"][0]
    assert (tied.status_code, shown["contact_id"], shown["request_id"]) == (200, contact_id, "r1")
    assert (await kommo.play("hola", chat_id=chat["chat_id"]))["contact_id"] == contact_id
    assert (await kommo.client.get(f"/api/v4/contacts/{chat['contact_id']}")).status_code == 404
    listed = await kommo.client.get("/api/v4/contacts/chats", params={"contact_id": contact_id})
    assert len(listed.json()["_embedded"]["chats"]) == 2
    for wrong in ({"contact_id": 1, "chat_id": chat["chat_id"]}, {"contact_id": contact_id, "chat_id": "none"}):
        assert (await kommo.client.post("/api/v4/contacts/chats", json=[wrong])).status_code == 400


async def _own_chat(start, receiver, **settings):
    kommo = await start(chats_webhook_url=receiver.url, **settings)
    played = await kommo.play("hola", origin=OWN)
    return kommo, played


async def test_given_the_own_channel_when_lists_buttons_templates_and_files_are_written_then_hooks_carry_them(
    start, receiver
):
    kommo, played = await _own_chat(start, receiver)
    chat_id = played["chat_id"]
    rows = [{"callback_data": "row-1", "title": "Envíos", "description": "Costos"}]
    menu = {"body": "Elegí", "button": "Menú", "sections": [{"title": "Todo", "rows": rows}]}
    await _write(kommo, chat_id, "Elegí", list_message=menu, reply_to=played["message_id"])
    await receiver.until(lambda: len(receiver.hooks) == 1)
    template = {"id": 6620, "content": "Pedido {{id}}", "params": [{"key": "{{id}}", "value": "8"}]}
    files = [{"type": "picture"}, {"type": "file"}]
    await _write(kommo, chat_id, "Pedido 8", buttons=[[{"text": "Sí"}]], template=template, attachments=files)
    await receiver.until(lambda: len(receiver.hooks) == 3)
    listed, *others = (json.loads(hook.body)["message"]["message"] for hook in receiver.hooks)
    assert listed["markup"]["list_message"]["sections"][0]["rows"] == rows
    assert listed["reply_to"]["message"]["id"] == played["message_id"]
    first, second = sorted(others, key=lambda message: message["type"], reverse=True)
    assert (first["type"], first["text"], second["type"], second["text"]) == ("picture", "Pedido 8", "file", "")
    assert first["media_group_id"] == second["media_group_id"]
    assert (first["template"], first["markup"]["buttons"]) == (template, [[{"text": "Sí"}]])
    assert first["id"] != second["id"]


async def test_given_typing_and_reactions_when_not_subscribed_then_only_messages_are_heard(start, receiver):
    kommo, played = await _own_chat(start, receiver)
    await kommo.client.post("/control/typing", json={"chat_id": played["chat_id"]})
    await kommo.client.post("/control/reactions", json={"message_id": played["message_id"]})
    assert (await kommo.quiet())["attempts"] == []


async def test_given_typing_and_reactions_when_subscribed_then_signed_hooks_go_out(start, receiver):
    kommo, played = await _own_chat(start, receiver, chats_webhook_events=("message", "typing", "reaction"))
    for _ in range(2):
        assert (await kommo.client.post("/control/typing", json={"chat_id": played["chat_id"]})).status_code == 204
    await receiver.until(lambda: len(receiver.hooks) == 1)
    reaction = {"message_id": played["message_id"], "emoji": "😍"}
    await kommo.client.post("/control/reactions", json=reaction)
    await receiver.until(lambda: len(receiver.hooks) == 2)
    await kommo.client.post("/control/reactions", json=reaction | {"emoji": "", "as_message": True})
    await receiver.until(lambda: len(receiver.hooks) == 3)
    typing, react, unreact = (json.loads(hook.body)["action"] for hook in receiver.hooks)
    assert typing["typing"]["conversation"]["id"] == played["chat_id"]
    assert (react["reaction"]["msgid"], react["reaction"]["emoji"]) == (played["message_id"], "😍")
    assert (unreact["reaction"]["type"], unreact["reaction"]["message"]["id"]) == ("unreact", played["message_id"])
    hook = receiver.hooks[0]
    expected = hmac.new(LOCAL_CHANNEL_SECRET.encode(), hook.body.rstrip(b"\n"), hashlib.sha1).hexdigest()
    assert hook.headers["x-signature"] == expected


async def test_given_a_native_chat_when_typing_or_the_own_channels_phone_is_played_then_422(start, receiver):
    kommo, played = await _own_chat(start, receiver)
    native = (await kommo.play())["chat_id"]
    assert (await kommo.client.post("/control/typing", json={"chat_id": native})).status_code == 422
    await _write(kommo, played["chat_id"], device="phone", status=422)


async def test_given_a_hand_over_when_the_records_are_asked_for_then_notes_and_tasks_of_the_chat_are_shown(start):
    kommo = await start()
    played = await kommo.play()
    note = [{"note_type": "common", "params": {"text": "resumen"}}]
    await kommo.client.post(f"/api/v4/contacts/{played['contact_id']}/notes", json=note)
    records = (await kommo.client.get(f"/control/chats/{played['chat_id']}/records")).json()
    assert [found["params"]["text"] for found in records["notes"]] == ["resumen"]
    assert (records["lead"]["id"], records["tasks"]) == (played["lead_id"], [])
