"""The transport `salesbot_field` through the real server: what the bot prints is ours, once, or a person is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from support.kommo_sends import deliveries, fault, new_chat, now, request

from kommo_simulator import RunningSimulator
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.parsing import to_seconds

SENT, RETRY_LATER, UNCLEAR, TELL_PERSON = (
    pb.SEND_OUTCOME_SENT,
    pb.SEND_OUTCOME_RETRY_LATER,
    pb.SEND_OUTCOME_UNCLEAR,
    pb.SEND_OUTCOME_TELL_PERSON,
)
FIELD, BOT = 700, 48
LONG = " ".join(f"Frase número {number} del catálogo, a $ 1.{number:03}." for number in range(12))


@pytest.fixture
async def simulator(simulated: Callable[..., Any]) -> AsyncIterator[RunningSimulator]:
    settings = {"salesbot_id": BOT, "salesbot_field_id": FIELD, "salesbot_delay_seconds": 0.1}
    async with simulated(**settings, adopt_unknown_chats=False) as running:
        yield running


@pytest.fixture
def account(simulator: RunningSimulator, account_of: Callable[..., Any]) -> Callable[..., Any]:
    """An account that speaks through a bot; `wait` is patient unless the bot is not going to speak."""

    def make(wait: float = 5.0, transports: tuple[str, ...] = ("salesbot_field",), **salesbot: Any) -> Any:
        bots = {"field_id": FIELD, "bot_id": BOT, "wait_seconds": wait, **salesbot}
        rate = simulator.simulator.settings.rate or 1000.0
        return account_of(simulator, transports=transports, salesbot=bots, requests_per_second=rate)

    return make


async def until_decided(stub: Any, order: pb.SendMessageRequest) -> Any:
    """Send again, as the outbox does, until it is known what became of it."""
    began = now()
    async with asyncio.timeout(60):
        while True:
            answer = await stub.SendMessage(order)
            if answer.outcome not in (RETRY_LATER, UNCLEAR):
                return answer
            if answer.outcome == UNCLEAR:
                order.unclear_since_time.CopyFrom(began)
            # Sooner than asked for is harmless, and the answer is the only sign that the wait is over.
            await asyncio.sleep(min(0.2, to_seconds(answer.retry_after)))


def asked(chat: dict[str, Any], **changes: Any) -> pb.SendMessageRequest:
    return request(chat, **{"lead_id": str(chat["lead_id"]), "text": "Sí, tenemos stock.", **changes})


async def texts(control: httpx.AsyncClient) -> list[str]:
    return [one["text"] for one in await deliveries(control)]


async def field_text(simulator: RunningSimulator, chat: dict[str, Any]) -> str:
    (field,) = simulator.simulator.world.leads[chat["lead_id"]].custom_fields_values or []
    return str(field["values"][0]["value"])


async def test_given_a_lead_when_sent_then_its_bot_prints_the_text_once_and_the_proof_is_known(
    served: Any, account: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    async with served(account()) as stub:
        answer = await stub.SendMessage(asked(chat))
    (delivery,) = await deliveries(control)
    assert (answer.outcome, answer.transport, answer.reason) == (SENT, "salesbot_field", "")
    assert list(answer.kommo_message_ids) == [delivery["id"]]
    assert (delivery["text"], delivery["via"]) == ("Sí, tenemos stock.", "salesbot")


async def test_given_a_text_longer_than_the_field_when_sent_then_its_pieces_appear_in_order_within_kommo_s_limit(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    assert (await control.patch("/control/settings", json={"rate": 7})).status_code == 200
    async with served(account()) as stub:
        answer = await stub.SendMessage(asked(chat, text=LONG))
    said = await texts(control)
    assert (answer.outcome, len(answer.kommo_message_ids), len(said)) == (SENT, 2, 2)
    assert all(len(text) <= 256 and text.endswith(".") for text in said)
    assert " ".join(said) == LONG
    assert {one.status for one in simulator.simulator.received} <= {200, 202}


async def test_given_a_quota_that_is_used_up_when_sent_then_the_bot_takes_over(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    simulator.simulator.quota.quota = 1
    chat = await new_chat(control)
    async with served(account(transports=("talk_message", "salesbot_field"))) as stub:
        first = await stub.SendMessage(asked(chat))
        second = await stub.SendMessage(asked(chat, delivery_id="another", text="Y en azul."))
    assert (first.transport, second.transport) == ("talk_message", "salesbot_field")
    assert await texts(control) == ["Sí, tenemos stock.", "Y en azul."]


async def test_given_no_lead_named_when_sent_then_the_talk_tells_it_or_a_person_is_told(
    served: Any, account: Any, control: httpx.AsyncClient
) -> None:
    known, without = await new_chat(control), await new_chat(control, lead=False)
    async with served(account()) as stub:
        found = await stub.SendMessage(asked(known, lead_id=""))
        none = await stub.SendMessage(asked(without, lead_id="", delivery_id="another"))
    assert found.outcome == SENT
    assert (none.outcome, none.reason) == (TELL_PERSON, "no_lead")
    assert len(await deliveries(control)) == 1


async def test_given_another_chat_of_the_lead_that_is_newer_when_sent_then_the_bot_does_not_speak_there(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    newer = await new_chat(control, lead_id=chat["lead_id"], contact_id=chat["contact_id"])
    simulator.simulator.world.talks[newer["talk_id"]].updated_at += 1
    async with served(account()) as stub:
        refused = await stub.SendMessage(asked(chat))
        taken = await stub.SendMessage(asked(newer, delivery_id="another"))
    assert (refused.outcome, refused.reason) == (TELL_PERSON, "other_chat")
    assert taken.outcome == SENT
    (delivery,) = await deliveries(control)
    assert delivery["chat_id"] == newer["chat_id"]


async def launched(simulator: RunningSimulator) -> None:
    """Return once a bot is about to speak."""
    async with asyncio.timeout(60):
        while not simulator.simulator.world.bots.runs:
            await asyncio.sleep(0)


async def test_given_a_text_not_printed_yet_when_another_is_sent_then_it_waits_in_every_replica_and_both_appear(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    simulator.simulator.settings.salesbot_delay_seconds = 2.0
    chat = await new_chat(control)
    first, second = asked(chat, text="Texto uno."), asked(chat, delivery_id="another", text="Texto dos.")
    async with served(account(wait=8)) as one, served(account(wait=8)) as other:
        sending = asyncio.create_task(until_decided(one, first))
        await launched(simulator)
        busy = [await stub.SendMessage(second) for stub in (one, other)]
        simulator.simulator.settings.salesbot_delay_seconds = 0.0
        answers = [await sending, await until_decided(other, second)]
    assert [(answer.outcome, answer.reason) for answer in busy] == [
        (RETRY_LATER, "lead_busy"),
        (RETRY_LATER, "field_busy"),
    ]
    assert [answer.outcome for answer in answers] == [SENT] * 2
    assert await texts(control) == ["Texto uno.", "Texto dos."]


async def test_given_a_field_that_another_overwrites_at_once_when_sent_then_no_bot_runs_and_a_repeat_succeeds(
    served: Any, account: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "overwrite_field", operation="patch_lead", body="nota de otra persona")
    async with served(account()) as stub:
        first = await stub.SendMessage(asked(chat))
        answer = await until_decided(stub, asked(chat))
    assert (first.outcome, first.reason) == (RETRY_LATER, "field_overwritten")
    assert answer.outcome == SENT
    assert await texts(control) == ["Sí, tenemos stock."]


async def test_given_a_field_that_was_written_late_when_anothers_bot_prints_it_then_no_second_bot_does(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "delay", operation="patch_lead", delay_seconds=1.5)
    async with served(account(wait=1)) as stub:
        began = now()
        late = await stub.SendMessage(asked(chat))
        silent = await texts(control)
        # Another replica found its own text in the field before this one came, and launched its bot.
        run = await control.post(
            f"/api/v4/bots/{BOT}/run",
            json={"entity_id": chat["lead_id"], "entity_type": "leads"},
            headers={"Authorization": f"Bearer {simulator.simulator.settings.access_token.get_secret_value()}"},
        )
        answer = await until_decided(stub, asked(chat, unclear_since_time=began))
    assert (late.outcome, late.reason, silent) == (UNCLEAR, "field_busy", [])
    assert run.status_code == 202
    assert answer.outcome == SENT
    assert await texts(control) == ["Sí, tenemos stock."]


async def test_given_a_field_that_is_overwritten_before_the_bot_prints_when_sent_then_a_person_is_told(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    simulator.simulator.settings.salesbot_delay_seconds = 0.5
    chat = await new_chat(control)

    async def overwrite() -> None:
        await launched(simulator)
        lead = simulator.simulator.world.leads[chat["lead_id"]]
        lead.custom_fields_values = [{"field_id": FIELD, "values": [{"value": "de otra persona"}]}]

    async with served(account(wait=3)) as stub:
        answer, _ = await asyncio.gather(stub.SendMessage(asked(chat)), overwrite())
    assert (answer.outcome, answer.reason) == (TELL_PERSON, "field_overwritten")
    assert await texts(control) == ["de otra persona"]


async def test_given_a_bot_that_stays_silent_when_sent_then_it_is_stopped_and_a_person_is_told(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    simulator.simulator.settings.salesbot_delay_seconds = 600
    chat = await new_chat(control)
    async with served(account(wait=0.5)) as stub:
        answer = await stub.SendMessage(asked(chat))
    assert (answer.outcome, answer.reason) == (TELL_PERSON, "bot_silent")
    assert simulator.simulator.world.bots.runs == {}
    assert await field_text(simulator, chat) == ""
    assert await deliveries(control) == []


@pytest.mark.parametrize("action", ["reset_after", "reset_before"])
async def test_given_a_launch_without_a_known_outcome_when_repeated_then_the_text_appears_once(
    served: Any, account: Any, control: httpx.AsyncClient, action: str
) -> None:
    chat = await new_chat(control)
    await fault(control, action, operation="run_bot")
    async with served(account(wait=1)) as stub:
        unclear = await stub.SendMessage(asked(chat))
        answer = await until_decided(stub, asked(chat, unclear_since_time=now()))
    assert unclear.outcome == UNCLEAR
    assert answer.outcome == SENT
    assert await texts(control) == ["Sí, tenemos stock."]


@pytest.mark.parametrize(
    ("salesbot", "reason"),
    [({"bot_id": 5}, "bot_not_found"), ({"field_limit": 1000}, "field_refused"), ({"field_id": None}, None)],
)
async def test_given_bots_that_are_not_as_the_account_says_when_sent_then_a_person_is_told_why(
    served: Any, account: Any, control: httpx.AsyncClient, salesbot: dict[str, Any], reason: str | None
) -> None:
    chat = await new_chat(control)
    async with served(account(**salesbot)) as stub:
        answer = await stub.SendMessage(asked(chat, text=LONG))
    assert (answer.outcome, answer.reason) == (TELL_PERSON, reason or "salesbot_not_configured")
    assert await deliveries(control) == []
