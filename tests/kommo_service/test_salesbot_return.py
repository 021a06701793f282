"""The transport `salesbot_return` through the real server: a bot that waits is told once, at Kommo's own address."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from support.kommo_sends import deliveries, fault, new_chat, now, request

from kommo_service.domain.continuation import continuation_body
from kommo_simulator import RunningSimulator
from kommo_simulator.bots_at_work import Wait
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.parsing import from_time

SENT, UNCLEAR, TELL_PERSON = pb.SEND_OUTCOME_SENT, pb.SEND_OUTCOME_UNCLEAR, pb.SEND_OUTCOME_TELL_PERSON
BOT = 48
LATER = datetime.now(UTC) + timedelta(hours=1)
TEXT = "Sí, tenemos stock: https://tienda.example/termos"


@pytest.fixture
async def simulator(simulated: Callable[..., Any]) -> AsyncIterator[RunningSimulator]:
    async with simulated(adopt_unknown_chats=False) as running:
        yield running


@pytest.fixture
def account(simulator: RunningSimulator, account_of: Callable[..., Any]) -> Callable[..., Any]:
    def make(*transports: str, wait: float = 0.3, mode: str = "data") -> Any:
        bots = {"wait_seconds": wait, "return_mode": mode}
        return account_of(simulator, transports=("salesbot_return", *transports), salesbot=bots)

    return make


def waits(simulator: RunningSimulator, chat: dict[str, Any], prints: str | None = "reply") -> str:
    """Let a bot wait in a chat and return where it is told how to go on."""
    simulator.simulator.world.bots.waits[7] = Wait(BOT, chat["chat_id"], prints)
    return f"{simulator.url}/api/v4/salesbot/{BOT}/continue/7"


def told(chat: dict[str, Any], url: str, *, until: datetime = LATER, **changes: Any) -> pb.SendMessageRequest:
    waiting = pb.SalesbotContinuation(return_url=url, expire_time=from_time(until))
    return request(chat, **{"text": TEXT, "salesbot_continuation": waiting, **changes})


async def test_given_a_bot_that_waits_when_sent_then_it_says_the_text_once(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    async with served(account()) as stub:
        answer = await stub.SendMessage(told(chat, waits(simulator, chat)))
    assert (answer.outcome, answer.transport, list(answer.kommo_message_ids)) == (SENT, "salesbot_return", [])
    assert [(one["text"], one["via"]) for one in await deliveries(control)] == [(TEXT, "salesbot")]


async def test_given_texts_to_show_when_sent_then_each_fits_and_they_are_found_again(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    chat, began = await new_chat(control), now()
    text = " ".join(f"El modelo {number} cuesta $ 1.{number:03}." for number in range(20))
    async with served(account(mode="show")) as stub:
        order = told(chat, waits(simulator, chat, None), text=text)
        answer = await stub.SendMessage(order)
        order.unclear_since_time.CopyFrom(began)
        again = await stub.SendMessage(order)
    said = [one["text"] for one in await deliveries(control)]
    assert (answer.outcome, again.outcome, again.found_by_reading_back) == (SENT, SENT, True)
    assert len(again.kommo_message_ids) == len(said) == 10
    assert all(len(piece) <= 80 for piece in said)
    assert " ".join(said) == text


@pytest.mark.parametrize("mode", ["data", "show"])
async def test_given_more_than_a_bot_takes_when_sent_then_the_next_way_says_it(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient, mode: str
) -> None:
    chat = await new_chat(control)
    async with served(account("talk_message", mode=mode)) as stub:
        answer = await stub.SendMessage(told(chat, waits(simulator, chat), text="Hola. " * 200))
    assert (answer.outcome, answer.transport) == (SENT, "talk_message")
    assert 7 in simulator.simulator.world.bots.waits


@pytest.mark.parametrize(
    ("url", "seconds", "reason"),
    [
        ("", 60, "no_continuation"),
        ("{base}/api/v4/salesbot/48/continue/8", 60, "continuation_gone"),
        ("{base}/api/v4/salesbot/48/continue/7", -1, "continuation_expired"),
        ("https://test.kommo.com@evil.example/api/v4/salesbot/48/continue/7", 60, "return_url_refused"),
        ("https://test.kommo.com.evil.example/api/v4/salesbot/48/continue/7", 60, "return_url_refused"),
        ("{base}/api/v4/salesbot/48/continue/../../../../control/reset", 60, "return_url_refused"),
    ],
)
async def test_given_no_bot_that_can_be_told_when_sent_then_the_next_way_says_it_or_a_person_is_told(
    served: Any,
    account: Any,
    simulator: RunningSimulator,
    control: httpx.AsyncClient,
    url: str,
    seconds: float,
    reason: str,
) -> None:
    chat = await new_chat(control)
    waits(simulator, chat)
    order = told(chat, url.format(base=simulator.url), until=datetime.now(UTC) + timedelta(seconds=seconds))
    async with served(account()) as alone, served(account("talk_message")) as with_next:
        refused = await alone.SendMessage(order)
        passed_on = await with_next.SendMessage(order)
    assert (refused.outcome, refused.reason) == (TELL_PERSON, reason)
    assert (passed_on.outcome, passed_on.transport) == (SENT, "talk_message")
    assert [one["via"] for one in await deliveries(control)] == ["talk_message"]
    asked = [one.path for one in simulator.simulator.received if one.operation == "continue_bot"]
    assert len(asked) == (2 if reason == "continuation_gone" else 0)


@pytest.mark.parametrize(
    ("action", "is_read_back"), [("reset_after", True), ("reset_before", False), ("status_after", True)]
)
async def test_given_an_answer_without_a_known_outcome_when_repeated_then_the_text_appears_once(
    served: Any,
    account: Any,
    simulator: RunningSimulator,
    control: httpx.AsyncClient,
    action: str,
    is_read_back: bool,
) -> None:
    chat, began = await new_chat(control), now()
    await fault(control, action, operation="continue_bot")
    order = told(chat, waits(simulator, chat))
    async with served(account("talk_message", wait=0.001)) as stub:
        unclear = await stub.SendMessage(order)
        order.unclear_since_time.CopyFrom(began)
        answer = await stub.SendMessage(order)
    assert (unclear.outcome, unclear.transport) == (UNCLEAR, "salesbot_return")
    assert (answer.outcome, answer.found_by_reading_back) == (SENT, is_read_back)
    assert [(one["text"], one["via"]) for one in await deliveries(control)] == [(TEXT, "salesbot")]


async def test_given_a_bot_that_was_told_and_may_still_speak_when_repeated_then_nobody_speaks_before_it(
    served: Any, account: Any, simulator: RunningSimulator, control: httpx.AsyncClient
) -> None:
    simulator.simulator.settings.salesbot_delay_seconds = 600
    chat, began = await new_chat(control), now()
    await fault(control, "reset_after", operation="continue_bot")
    order = told(chat, waits(simulator, chat))
    async with (
        served(account("talk_message", wait=15)) as patient,
        served(account("talk_message", wait=0.001)) as hasty,
    ):
        await patient.SendMessage(order)
        order.unclear_since_time.CopyFrom(began)
        early = await patient.SendMessage(order)
        late = await hasty.SendMessage(order)
    assert (early.outcome, early.reason) == (UNCLEAR, "not_settled")
    # It was told, has not spoken, and may do so at any time: nothing that the mesh says could be said once only.
    assert (late.outcome, late.reason) == (TELL_PERSON, "continuation_gone")
    assert await deliveries(control) == []


async def test_given_the_address_of_another_account_when_sent_then_no_token_goes_there(
    served: Any, account: Any, simulator: RunningSimulator, simulated: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    async with simulated() as other, served(account()) as stub:
        answer = await stub.SendMessage(told(chat, f"{other.url}/api/v4/salesbot/{BOT}/continue/7"))
        assert list(other.simulator.received) == []
    assert (answer.outcome, answer.reason) == (TELL_PERSON, "return_url_refused")


def test_given_a_text_when_told_then_its_body_keeps_the_documented_limits() -> None:
    assert continuation_body("Hola", "data") == {"data": {"reply": "Hola"}, "execute_handlers": []}
    show = {"handler": "show", "params": {"type": "text", "value": "Hola"}}
    assert continuation_body("Hola", "show") == {"data": {}, "execute_handlers": [show]}
    assert continuation_body("x" * 1001, "data") is None
    assert continuation_body(f"Mirá https://tienda.example/{'a' * 90}", "show") is None
