"""CRM webhooks: their bytes, what raises them, retries, and the rule that switches a subscription off."""

import asyncio
from pathlib import Path

import pytest

from kommo_simulator import crm_events
from kommo_simulator.model import Author, AuthorType, Chat, Message, Talk, Via
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.webhooks_out import next_delay

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kommo"
ACCOUNT = SimulatorSettings(account_id=31874205, subdomain="fixture-tiendaaurora")
CHAT = Chat(
    "72ff78ce-9d66-5162-811d-285c062f4440",
    "waba",
    41760001,
    8412033,
    "e0a4805c-34fc-5aad-873a-b5fcf824ef9d",
    "Lucía Ferrero",
    0,
)


def _fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def test_given_a_client_message_when_encoded_then_it_equals_the_captured_request():
    author = Author(AuthorType.EXTERNAL, CHAT.client_id, CHAT.client_name)
    text = "Hola, ¿tienen el termo acero de 1 litro en stock? 🙏"
    id_ = "824ee284-da94-5a7c-a58e-ec3a426db031"
    message = Message(id_, 1, CHAT.id, 4101, text, "text", 1788264000, author, Via.CLIENT)
    encoded = crm_events.encode(crm_events.message_added(ACCOUNT, CHAT, message))
    assert encoded == _fixture("crm_in_waba_text.txt")


def test_given_a_bot_message_when_encoded_then_it_equals_the_fixture():
    author = Author(AuthorType.BOT, "c37c2d29-fb8a-5d7c-b255-8aa8c26ac948", "WhatsApp Business")
    id_, text = "9e06afc4-14e3-57b4-b45a-a4c4a9e9a715", "Sí, tenemos el termo de 1 litro."
    message = Message(id_, 2, CHAT.id, 4101, text, "text", 1788264020, author, Via.TALK_MESSAGE)
    fields = crm_events.outgoing_message_added(ACCOUNT, CHAT, message, author, None)
    assert crm_events.encode(fields) == _fixture("crm_out_bot.txt")


@pytest.mark.parametrize(
    ("verb", "updated_at", "is_in_work", "name"),
    [("add", 1788264000, True, "crm_talk_add.txt"), ("update", 1788271200, False, "crm_talk_update_closed.txt")],
)
def test_given_a_talk_when_encoded_then_it_equals_the_captured_request(verb, updated_at, is_in_work, name):
    talk = Talk(4101, CHAT.id, 1788263940, updated_at, is_in_work, is_read=not is_in_work)
    assert crm_events.encode(crm_events.talk_changed(ACCOUNT, verb, CHAT, talk)) == _fixture(name)


@pytest.mark.parametrize(
    ("status", "delays"),
    [
        (0, [300, 900, None]),
        (302, [300, 900, None]),
        (404, [300, 900, None]),
        (499, [300, 900, 900, 3600, None]),
        (500, [300, 900, 900, 3600, None]),
        (204, [None]),
    ],
)
def test_given_an_answer_when_the_next_attempt_is_planned_then_the_documented_schedule_holds(status, delays):
    assert [next_delay(number, status) for number in range(1, len(delays) + 1)] == delays


async def test_given_a_new_client_when_it_writes_then_talk_message_and_unsorted_arrive(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,))
    played = await kommo.play("Hola ñandú", name="Elena")
    await receiver.until(lambda: len(receiver.hooks) == 3)
    assert {hook.kind for hook in receiver.hooks} == {"message.add", "talk.add", "unsorted.add"}
    hook = receiver.of("message.add")[0]
    assert hook.headers["user-agent"] == "amoCRM-Webhooks/3.0"
    assert hook.headers["content-type"] == "application/x-www-form-urlencoded"
    assert hook.fields["message[add][0][id]"] == played["message_id"]
    assert hook.fields["message[add][0][text]"] == "Hola ñandú"
    copy = receiver.of("unsorted.add")[0].fields
    assert copy["unsorted[add][0][source_data][data][0][id]"] == played["message_id"]


async def test_given_a_known_chat_when_the_client_writes_again_then_only_the_message_arrives(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,))
    played = await kommo.play()
    await receiver.until(lambda: len(receiver.hooks) == 3)
    again = await kommo.play("otra", chat_id=played["chat_id"])
    await receiver.until(lambda: len(receiver.hooks) == 4)
    assert again["talk_id"] == played["talk_id"]
    assert receiver.hooks[-1].kind == "message.add"


async def test_given_a_chat_without_lead_when_the_client_writes_then_no_entity_and_no_unsorted(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,))
    await kommo.play(lead=False)
    await kommo.quiet()
    assert {hook.kind for hook in receiver.hooks} == {"message.add", "talk.add"}
    assert "message[add][0][entity_id]" not in receiver.of("message.add")[0].fields


async def test_given_copies_when_a_client_message_is_played_then_it_arrives_that_often(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False, raise_talk_events=False)
    await kommo.play(copies=3)
    await kommo.quiet()
    assert len({hook.fields["message[add][0][id]"] for hook in receiver.hooks}) == 1
    assert len(receiver.hooks) == 3


async def test_given_deliver_false_when_a_client_message_is_played_then_no_webhook_is_raised(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,))
    await kommo.play(deliver=False)
    assert (await kommo.quiet())["attempts"] == []
    assert receiver.hooks == []


async def test_given_late_media_when_played_under_the_same_id_then_the_message_gains_its_file(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False, raise_talk_events=False)
    played = await kommo.play(
        "", message_type="picture", id="m-1", attachment={"type": "picture", "link": "https://x/a"}
    )
    await kommo.play("", chat_id=played["chat_id"], id="m-1", attachment={"type": "picture", "link": "https://x/b"})
    await kommo.quiet()
    links = [hook.fields["message[add][0][attachment][link]"] for hook in receiver.hooks]
    assert sorted(links) == ["https://x/a", "https://x/b"]
    assert {hook.fields["message[add][0][id]"] for hook in receiver.hooks} == {"m-1"}


async def test_given_500_answers_when_a_message_is_sent_then_five_attempts_with_ids_of_their_own(start, receiver):
    receiver.statuses = [500] * 9
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",), time_scale=0.00001)
    await kommo.play()
    found = await kommo.quiet()
    assert [attempt["number"] for attempt in found["attempts"]] == [1, 2, 3, 4, 5]
    assert len({hook.headers["x-amocrm-requestid"] for hook in receiver.hooks}) == 5
    assert len({hook.body for hook in receiver.hooks}) == 1


async def test_given_a_404_when_a_message_is_sent_then_three_attempts_are_made(start, receiver):
    receiver.statuses = [404] * 9
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",), time_scale=0.00001)
    await kommo.play()
    assert len((await kommo.quiet())["attempts"]) == 3


async def test_given_one_failure_when_the_retry_succeeds_then_no_more_attempts(start, receiver):
    receiver.statuses = [503]
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",))
    await kommo.play()
    assert [attempt["status"] for attempt in (await kommo.quiet())["attempts"]] == [503, 200]


async def test_given_a_slow_receiver_when_the_time_is_over_then_the_attempt_counts_as_499(start, receiver):
    receiver.gate.clear()
    kommo = await start(
        webhook_urls=(receiver.url,), webhook_events=("add_message",), webhook_timeout_seconds=0.05, time_scale=0.00001
    )
    await kommo.play()
    assert [attempt["status"] for attempt in (await kommo.quiet())["attempts"]] == [499] * 5


async def test_given_more_than_100_failures_when_counted_then_the_subscription_is_off_until_renewed(start, receiver):
    receiver.statuses = [500] * 101
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_message",), time_scale=1000.0)
    await asyncio.gather(*(kommo.play(f"m{n}") for n in range(100)))
    await receiver.until(lambda: len(receiver.hooks) == 100)
    await kommo.eventually("/control/webhooks", lambda found: found["subscriptions"][0]["failures"] == 100)
    shown = (await kommo.client.get("/api/v4/webhooks")).json()["_embedded"]["webhooks"][0]
    assert shown["disabled"] is False
    await kommo.play("one too many")
    await kommo.eventually("/control/webhooks", lambda found: found["subscriptions"][0]["disabled"])
    await kommo.play("unheard")
    order = {"destination": receiver.url, "settings": ["add_message"]}
    renewed = await kommo.client.post("/api/v4/webhooks", json=order)
    assert (renewed.status_code, renewed.json()["disabled"]) == (201, False)
    await kommo.play("heard")
    await receiver.until(lambda: len(receiver.hooks) == 102)
    assert receiver.hooks[-1].fields["message[add][0][text]"] == "heard"


async def test_given_only_lead_events_when_a_client_writes_then_nothing_arrives(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("status_lead",))
    await kommo.play()
    assert (await kommo.quiet())["attempts"] == []


async def test_given_a_closed_talk_when_the_client_writes_then_another_talk_of_the_chat_opens(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), raise_unsorted=False)
    played = await kommo.play()
    closed = await kommo.client.post(f"/control/talks/{played['talk_id']}/close")
    again = await kommo.play(chat_id=played["chat_id"])
    third = await kommo.play(chat_id=played["chat_id"])
    await kommo.quiet()
    assert closed.status_code == 204
    assert third["talk_id"] == again["talk_id"]
    assert again["talk_id"] != played["talk_id"]
    assert receiver.of("talk.update")[0].fields["talk[update][0][is_in_work]"] == "0"
    assert len(receiver.of("talk.add")) == 2


async def test_given_a_colleague_when_it_writes_then_the_outgoing_event_names_the_user(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_outgoing_message",))
    played = await kommo.play()
    line = {"chat_id": played["chat_id"], "text": "Sigo yo"}
    assert (await kommo.client.post("/control/colleague-messages", json=line)).status_code == 201
    await kommo.quiet()
    fields = receiver.hooks[0].fields
    assert fields["outgoing_message[add][0][author][type]"] == "internal"
    assert fields["outgoing_message[add][0][author][user_id]"] == "8823401"
    assert fields["outgoing_message[add][0][type]"] == "outgoing"


@pytest.mark.parametrize(("echo", "types"), [("on", ["bot"]), ("internal", ["internal"]), ("off", [])])
async def test_given_an_api_send_when_accepted_then_its_echo_follows_the_setting(start, receiver, echo, types):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_outgoing_message",), echo=echo)
    sent = await kommo.send((await kommo.play())["talk_id"])
    if types:
        await receiver.until(lambda: bool(receiver.hooks))
    await kommo.quiet()
    assert [hook.fields["outgoing_message[add][0][author][type]"] for hook in receiver.hooks] == types
    assert [hook.fields["outgoing_message[add][0][id]"] for hook in receiver.hooks] == [sent.json()["id"]] * len(types)


async def test_given_echo_before_when_sent_then_the_echo_arrives_before_the_answer(start, receiver):
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=("add_outgoing_message",), echo_order="before")
    played = await kommo.play()
    receiver.gate.clear()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(kommo.send(played["talk_id"]))
        await receiver.until(lambda: len(receiver.hooks) == 1)
        assert not sending.done()
        receiver.gate.set()
    assert sending.result().json()["id"] == receiver.hooks[0].fields["outgoing_message[add][0][id]"]


@pytest.mark.parametrize(("echo", "author"), [("on", "bot"), ("internal", "internal")])
async def test_given_every_shape_of_echo_when_the_api_sends_then_each_is_raised_with_the_same_message(
    start, receiver, echo, author
):
    shapes = ("outgoing_message", "message", "add")
    events = ("add_outgoing_message", "add_message")
    kommo = await start(webhook_urls=(receiver.url,), webhook_events=events, echo=echo, echo_shapes=shapes)
    sent = await kommo.send((await kommo.play())["talk_id"])
    await receiver.until(lambda: len(receiver.hooks) == 4)
    roots = ("outgoing_message[add][0]", "message[add][0]", "add[0]")
    echoes = [(root, hook.fields) for root in roots for hook in receiver.hooks if f"{root}[id]" in hook.fields]
    found = [
        (root, fields[f"{root}[author][type]"]) for root, fields in echoes if fields[f"{root}[type]"] == "outgoing"
    ]
    assert found == [(root, author) for root in roots]
    assert {fields[f"{root}[id]"] for root, fields in echoes if fields[f"{root}[type]"] == "outgoing"} == {
        sent.json()["id"]
    }
