"""What changes while the simulator runs: settings and quota, subscriptions, and when webhooks leave."""

import pytest


async def _patch(kommo, **changes):
    return await kommo.client.patch("/control/settings", json=changes)


async def test_given_plan_and_quota_when_changed_then_sends_are_refused_until_reset(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    assert (await _patch(kommo, plan_has_addon=False)).json()["plan_has_addon"] is False
    refused = await kommo.send(talk_id)
    assert (refused.status_code, refused.json()["detail"]) == (402, "Endpoint not available for current account tariff")
    await _patch(kommo, plan_has_addon=True, quota=10, quota_used=10)
    refused = await kommo.send(talk_id)
    assert (refused.status_code, refused.json()["detail"]) == (402, "Over chat API limit")
    status = (await kommo.client.get("/control/status")).json()
    assert (status["quota"], status["plan_has_addon"]) == ({"limit": 10, "used": 10}, True)
    await _patch(kommo, token_scopes=["crm"])
    assert (await kommo.send(talk_id)).status_code == 403
    await kommo.client.post("/control/reset")
    assert (await kommo.send((await kommo.play())["talk_id"])).status_code == 202


async def test_given_a_rate_when_changed_then_requests_meet_it_at_once(start):
    kommo = await start()
    await _patch(kommo, rate=1)
    statuses = [(await kommo.client.get("/api/v4/account")).status_code for _ in range(3)]
    assert 429 in statuses


@pytest.mark.parametrize(
    "changes",
    [{"quota": -1}, {"echo": "loud"}, {"quota": "5"}, {"quota_used": -1}, {"host": "x"}, {"rate": 3, "quota": -1}],
)
async def test_given_a_wrong_value_when_settings_change_then_400_and_nothing_changed(start, changes):
    kommo = await start()
    before = (await kommo.client.get("/control/settings")).json()
    assert (await _patch(kommo, **changes)).status_code == 400
    assert (await kommo.client.get("/control/settings")).json() == before


async def test_given_one_settings_object_when_two_simulators_use_it_then_changes_stay_apart(start):
    first, second = await start(), await start()
    await _patch(first, quota=1)
    assert (await second.client.get("/control/settings")).json()["quota"] == 10_000


async def test_given_a_subscription_when_switched_off_then_visible_silent_and_on_again(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    switch = {"destination": receiver.url, "disabled": True}
    assert (await kommo.client.patch("/control/subscriptions", json=switch)).status_code == 204
    assert (await kommo.client.get("/control/status")).json()["disabled_subscriptions"] == 1
    shown = (await kommo.client.get("/api/v4/webhooks")).json()["_embedded"]["webhooks"]
    assert shown[0]["disabled"] is True
    await kommo.play("nobody hears this")
    assert (await kommo.quiet())["attempts"] == []
    await kommo.client.patch("/control/subscriptions", json={"disabled": False})
    await kommo.play("heard")
    await receiver.until(lambda: len(receiver.hooks) == 1)
    unknown = {"destination": "http://127.0.0.1:9/", "disabled": True}
    assert (await kommo.client.patch("/control/subscriptions", json=unknown)).status_code == 404


def _texts(receiver):
    return [hook.fields["message[add][0][text]"] for hook in receiver.hooks]


@pytest.mark.parametrize(
    ("order", "texts"), [("arrival", ["a", "b", "c"]), ("reverse", ["c", "b", "a"]), ("shuffle", ["b", "c", "a"])]
)
async def test_given_held_webhooks_when_released_then_they_arrive_in_the_order_wanted(start, receiver, order, texts):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    await kommo.client.post("/control/webhooks/holds", json={"events": ["add_message"]})
    chat_id = (await kommo.play("a"))["chat_id"]
    for text in ("b", "c"):
        await kommo.play(text, chat_id=chat_id)
    held = (await kommo.webhooks())["held"]
    assert (len(held), held[0], receiver.hooks) == (3, {"event": "add_message", "chat_id": chat_id}, [])
    released = await kommo.client.post("/control/webhooks/release", json={"order": order, "seed": 1})
    assert released.json() == {"released": 3, "held": 0}
    await receiver.until(lambda: len(receiver.hooks) == 3)
    assert _texts(receiver) == texts
    await kommo.play("d", chat_id=chat_id)
    await receiver.until(lambda: len(receiver.hooks) == 4)


async def test_given_released_webhooks_when_the_first_is_not_answered_then_the_next_waits(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    await kommo.client.post("/control/webhooks/holds", json={})
    chat_id = (await kommo.play("a"))["chat_id"]
    await kommo.play("b", chat_id=chat_id)
    receiver.gate.clear()
    await kommo.client.post("/control/webhooks/release", json={"keep_holding": True, "limit": 5})
    await receiver.until(lambda: len(receiver.hooks) == 1)
    for _ in range(5):
        await kommo.webhooks()
    assert _texts(receiver) == ["a"]
    receiver.gate.set()
    await receiver.until(lambda: len(receiver.hooks) == 2)
    await kommo.play("c", chat_id=chat_id)
    assert len((await kommo.webhooks())["held"]) == 1


async def test_given_a_hold_on_one_chat_when_another_writes_then_only_the_first_waits(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    chat_id = (await kommo.play("a"))["chat_id"]
    await kommo.client.post("/control/webhooks/holds", json={"chat_id": chat_id})
    await kommo.play("b", chat_id=chat_id)
    await kommo.play("c")
    await receiver.until(lambda: len(receiver.hooks) == 2)
    assert sorted(_texts(receiver)) == ["a", "c"]
    await kommo.client.delete("/control/webhooks/plan")
    await receiver.until(lambda: len(receiver.hooks) == 3)


async def test_given_a_delay_for_one_webhook_when_two_are_raised_then_the_second_overtakes_it(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    order = {"delay_seconds": 1.0, "event": "add_message", "times": 1}
    shown = await kommo.client.post("/control/webhooks/delays", json=order)
    assert shown.json()["delays"][0]["left"] == 1
    chat_id = (await kommo.play("late"))["chat_id"]
    await kommo.play("early", chat_id=chat_id)
    await receiver.until(lambda: len(receiver.hooks) == 2)
    assert _texts(receiver) == ["early", "late"]


async def test_given_held_echoes_when_the_api_sends_with_the_echo_before_then_the_answer_does_not_wait(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), echo_order="before")
    played = await kommo.play()
    await kommo.client.post("/control/webhooks/holds", json={"events": ["add_outgoing_message"]})
    assert (await kommo.send(played["talk_id"])).status_code == 202


async def test_given_leads_and_contacts_when_made_and_changed_then_their_events_are_raised(start, receiver):
    events = ("add_lead", "update_lead", "add_contact", "update_contact")
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=events)
    played = await kommo.play(name="Elena")
    await receiver.until(lambda: len(receiver.hooks) == 2)
    assert receiver.of("contacts.add")[0].fields["contacts[add][0][name]"] == "Elena"
    assert receiver.of("leads.add")[0].fields["leads[add][0][id]"] == str(played["lead_id"])
    change = {
        "tags_to_add": [{"name": "bot"}],
        "custom_fields_values": [{"field_id": 77, "values": [{"value": "respuesta"}]}],
    }
    await kommo.client.patch(f"/api/v4/leads/{played['lead_id']}", json=change)
    await kommo.client.patch(f"/api/v4/contacts/{played['contact_id']}", json={"name": "Elena V."})
    await receiver.until(lambda: len(receiver.hooks) == 4)
    fields = receiver.of("leads.update")[0].fields
    assert fields["leads[update][0][tags][0][name]"] == "bot"
    assert fields["leads[update][0][custom_fields][0][values][0][value]"] == "respuesta"
    assert receiver.of("contacts.update")[0].fields["contacts[update][0][name]"] == "Elena V."
