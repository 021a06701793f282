"""REST v4: talks, send_message with its refusals, limits, quota, and what hand-over needs."""

import asyncio

import pytest


async def test_given_a_talk_when_a_text_is_sent_then_the_client_gets_it(start):
    kommo = await start()
    played = await kommo.play()
    sent = await kommo.send(played["talk_id"], "Sí, tenemos")
    assert sent.status_code == 202
    path = f"/control/deliveries?chat_id={played['chat_id']}"
    found = await kommo.eventually(path, lambda body: body["deliveries"][0]["delivery_status"] == "delivered")
    delivery = found["deliveries"][0]
    assert (delivery["id"], delivery["text"], delivery["via"]) == (sent.json()["id"], "Sí, tenemos", "talk_message")


async def test_given_the_guide_request_when_its_contact_is_looked_up_then_a_talk_is_adopted(start):
    kommo = await start()
    listed = await kommo.client.get("/api/v4/talks", params={"filter[contact_id]": "999"})
    talk = listed.json()["_embedded"]["talks"][0]
    assert talk["chat_id"] == "contact-999"
    assert (await kommo.send(talk["talk_id"], "Hola")).status_code == 202
    assert [found["text"] for found in await kommo.deliveries(chat_id="contact-999")] == ["Hola"]


async def test_given_a_prepared_chat_when_its_contact_is_looked_up_then_its_talk_is_found(start):
    kommo = await start()
    chat = {"chat_id": "chat-test-001", "contact_id": 999, "origin": "whatsapp", "name": "Cliente"}
    made = (await kommo.client.post("/control/chats", json=chat)).json()
    listed = (await kommo.client.get("/api/v4/talks?filter[contact_id]=999")).json()["_embedded"]["talks"]
    assert [(talk["talk_id"], talk["chat_id"]) for talk in listed] == [(made["talk_id"], "chat-test-001")]


async def test_given_adoption_when_sent_to_an_unknown_talk_then_a_chat_is_made(start):
    kommo = await start()
    assert (await kommo.client.get("/api/v4/talks/4101")).status_code == 404
    assert (await kommo.client.get("/api/v4/talks/4101/messages")).status_code == 204
    assert (await kommo.send(4101)).status_code == 202
    found = await kommo.deliveries(talk_id=4101)
    assert [delivery["chat_id"] for delivery in found] == ["talk-4101"]


async def test_given_no_adoption_when_unknown_things_are_asked_for_then_kommo_knows_nothing(start):
    kommo = await start(adopt_unknown_chats=False)
    assert (await kommo.send(4101)).status_code == 404
    assert (await kommo.client.get("/api/v4/talks/4101/messages")).status_code == 404
    assert (await kommo.client.get("/api/v4/talks?filter[contact_id]=999")).status_code == 204
    assert (await kommo.client.get("/api/v4/leads/5")).status_code == 404


@pytest.mark.parametrize(
    ("settings", "status", "detail"),
    [
        ({"plan_has_addon": False}, 402, "Endpoint not available for current account tariff"),
        ({"token_scopes": "crm"}, 403, "Invalid scope"),
        ({"access_token": "another"}, 401, "Unauthorized"),
    ],
)
async def test_given_an_account_that_lacks_something_when_sent_then_the_problem_says_so(
    start, settings, status, detail
):
    kommo = await start(**settings)
    refused = await kommo.send((await kommo.play())["talk_id"])
    assert (refused.status_code, refused.json()["detail"]) == (status, detail)
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b'{"text":""}', b'{"text":5}', b"[]", b'{"text":"' + b"a" * 5000 + b'"}'])
async def test_given_a_bad_body_when_sent_then_400(start, body):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    refused = await kommo.client.post(f"/api/v4/talks/{talk_id}/send_message", content=body)
    assert refused.status_code == 400


async def test_given_a_quota_when_it_is_used_up_then_402(start):
    kommo = await start(quota=1)
    talk_id = (await kommo.play())["talk_id"]
    answers = [await kommo.send(talk_id), await kommo.send(talk_id)]
    assert [answer.status_code for answer in answers] == [202, 402]
    assert answers[1].json()["detail"] == "Over chat API limit"


async def test_given_a_closed_talk_when_sent_or_closed_again_then_422(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    close = f"/api/v4/talks/{talk_id}/close"
    assert (await kommo.client.post(close, json={"force_close": True})).status_code == 202
    assert (await kommo.send(talk_id)).json()["detail"] == "Talk is closed"
    assert (await kommo.client.post(close)).status_code == 422
    assert (await kommo.client.get(f"/api/v4/talks/{talk_id}")).json()["is_in_work"] is False


async def test_given_many_messages_when_paged_then_all_appear_once_in_no_order(start):
    kommo = await start()
    played = await kommo.play("m0", created_at=1000)
    for number in range(1, 12):
        await kommo.play(f"m{number}", chat_id=played["chat_id"], created_at=1000 + number)
    texts, path = [], f"/api/v4/talks/{played['talk_id']}/messages?limit=5"
    while path:
        page = (await kommo.client.get(path)).json()
        texts += [message["text"] for message in page["_embedded"]["messages"]]
        path = page["_links"].get("next", {}).get("href")
    expected = [f"m{number}" for number in range(12)]
    assert sorted(texts) == sorted(expected)
    assert texts != expected
    assert (await kommo.client.get(f"/api/v4/talks/{played['talk_id']}/messages?limit=251")).status_code == 400
    assert (await kommo.client.get(f"/api/v4/talks/{played['talk_id']}/messages?page=9")).status_code == 204


async def test_given_the_rate_when_exceeded_then_429_and_at_last_an_html_403(start):
    kommo = await start(rate=3, ban_after=5, time_scale=1.0)
    answers = [await kommo.client.get("/api/v4/account") for _ in range(20)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:4] == [200, 200, 200, 429]
    assert statuses[-1] == 403
    assert answers[-1].headers["content-type"].startswith("text/html")
    assert "retry-after" not in answers[3].headers


async def test_given_the_account_when_asked_with_amojo_id_then_ids_are_shown(start):
    kommo = await start()
    account = (await kommo.client.get("/api/v4/account?with=amojo_id")).json()
    users = (await kommo.client.get("/api/v4/users?with=amojo_id")).json()["_embedded"]["users"]
    assert (account["id"], account["subdomain"]) == (12345, "test")
    assert account["amojo_id"]
    assert [user["amojo_id"] is None for user in users] == [False, True]
    assert "amojo_id" not in (await kommo.client.get("/api/v4/account")).json()


async def test_given_webhooks_when_added_listed_and_removed_then_the_list_follows(start, receiver):
    kommo = await start()
    order = {"destination": receiver.url, "settings": ["add_message"], "sort": 5}
    first, second = [await kommo.client.post("/api/v4/webhooks", json=order) for _ in range(2)]
    assert (first.status_code, first.json()["id"]) == (201, second.json()["id"])
    listed = await kommo.client.get("/api/v4/webhooks", params={"filter[destination]": receiver.url})
    assert len(listed.json()["_embedded"]["webhooks"]) == 1
    bad = await kommo.client.post("/api/v4/webhooks", json={"destination": receiver.url, "settings": ["nonsense"]})
    assert bad.status_code == 400
    gone = await kommo.client.request("DELETE", "/api/v4/webhooks", json={"destination": receiver.url})
    assert gone.status_code == 204


async def test_given_a_handover_when_written_then_note_task_and_tag_are_kept(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("note_lead", "status_lead"))
    lead_id = (await kommo.play())["lead_id"]
    lead = f"/api/v4/leads/{lead_id}"
    note = [{"note_type": "common", "params": {"text": "Resumen"}}]
    task = [{"text": "Atender", "complete_till": 1788267600, "entity_id": lead_id, "entity_type": "leads"}]
    assert (await kommo.client.post(f"{lead}/notes", json=note)).json()["_embedded"]["notes"][0]["entity_id"] == lead_id
    assert (await kommo.client.post("/api/v4/tasks", json=task)).status_code == 200
    patch = {"status_id": 2, "pipeline_id": 1, "tags_to_add": [{"name": "derivado"}]}
    assert (await kommo.client.patch(lead, json=patch)).status_code == 200
    shown = (await kommo.client.get(lead)).json()
    assert (shown["status_id"], [tag["name"] for tag in shown["_embedded"]["tags"]]) == (2, ["derivado"])
    assert len((await kommo.client.get(f"{lead}/notes")).json()["_embedded"]["notes"]) == 1
    tasks = (await kommo.client.get(f"/api/v4/tasks?filter[entity_id]={lead_id}")).json()["_embedded"]["tasks"]
    assert [found["text"] for found in tasks] == ["Atender"]
    await kommo.quiet()
    assert {hook.kind for hook in receiver.hooks} == {"leads.note", "leads.status"}


async def test_given_tags_when_embedded_tags_are_patched_then_they_replace_all(start):
    kommo = await start()
    lead = f"/api/v4/leads/{(await kommo.play())['lead_id']}"
    await kommo.client.patch(lead, json={"tags_to_add": [{"name": "a"}, {"name": "b"}]})
    await kommo.client.patch(lead, json={"_embedded": {"tags": [{"name": "c"}]}})
    await kommo.client.patch(lead, json={"tags_to_add": [{"name": "d"}], "tags_to_delete": [{"name": "c"}]})
    tags = (await kommo.client.get(lead)).json()["_embedded"]["tags"]
    assert [tag["name"] for tag in tags] == ["d"]
    assert (await kommo.client.patch(lead, json={"status_id": 5})).status_code == 400
    assert (await kommo.client.delete(lead)).status_code == 405


async def test_given_a_responsible_when_changed_then_its_event_names_both_users(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("responsible_lead", "status_lead"))
    lead = f"/api/v4/leads/{(await kommo.play())['lead_id']}"
    assert (await kommo.client.patch(lead, json={"responsible_user_id": 8823402})).status_code == 200
    await receiver.until(lambda: len(receiver.hooks) == 1)
    fields = receiver.hooks[0].fields
    assert fields["leads[responsible][0][responsible_user_id]"] == "8823402"
    assert fields["leads[responsible][0][old_responsible_user_id]"] == "8823401"


async def test_given_a_location_when_played_then_only_the_talk_messages_hold_it(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    played = await kommo.play("", location={"lon": -58.4, "lat": -34.6})
    await receiver.until(lambda: len(receiver.hooks) == 1)
    assert receiver.hooks[0].fields["message[add][0][message_type]"] == "location"
    assert b"34.6" not in receiver.hooks[0].body
    listed = (await kommo.client.get(f"/api/v4/talks/{played['talk_id']}/messages")).json()["_embedded"]["messages"]
    assert listed[0]["location"] == {"lon": -58.4, "lat": -34.6}


async def test_given_a_field_when_a_bot_is_run_then_it_prints_the_field(start):
    kommo = await start()
    played = await kommo.play()
    fields = {"custom_fields_values": [{"field_id": 1, "values": [{"value": "Hola del bot"}]}]}
    await kommo.client.patch(f"/api/v4/leads/{played['lead_id']}", json=fields)
    run = await kommo.client.post("/api/v4/bots/9/run", json={"entity_id": played["lead_id"], "entity_type": "leads"})
    assert (run.status_code, run.text) == (202, "Accepted")
    found = await kommo.deliveries(chat_id=played["chat_id"])
    assert [(delivery["text"], delivery["via"]) for delivery in found] == [("Hola del bot", "salesbot")]


async def test_given_200_chats_at_once_when_answered_then_each_gets_one_delivery(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    played = await asyncio.gather(*(kommo.play(f"m{number}") for number in range(200)))
    await receiver.until(lambda: len(receiver.hooks) == 200)
    answers = await asyncio.gather(*(kommo.send(one["talk_id"]) for one in played))
    assert {answer.status_code for answer in answers} == {202}
    found = await kommo.deliveries()
    assert {delivery["chat_id"] for delivery in found} == {one["chat_id"] for one in played}
    assert len(found) == 200
