"""Repeats of attempts without a known outcome, through the real server: the simulator has each message once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from support.kommo_sends import deliveries, fault, new_chat, now, request

from kommo_simulator import RunningSimulator
from kommo_simulator.faults import FaultOrder, Match
from kommo_simulator.stage import ClientLine
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.parsing import to_seconds


@pytest.mark.parametrize("action", ["reset_after", "status_after"])
async def test_given_a_send_that_arrived_without_an_answer_when_repeated_then_it_is_found_and_not_sent_again(
    stub: Any, control: httpx.AsyncClient, action: str
) -> None:
    chat, began = await new_chat(control), now()
    await fault(control, action)
    unclear = await stub.SendMessage(request(chat))
    assert unclear.outcome == pb.SEND_OUTCOME_UNCLEAR
    assert to_seconds(unclear.retry_after) > 0

    found = await stub.SendMessage(request(chat, unclear_since_time=began))
    assert (found.outcome, found.found_by_reading_back) == (pb.SEND_OUTCOME_SENT, True)
    (delivery,) = await deliveries(control)
    assert list(found.kommo_message_ids) == [delivery["id"]]


@pytest.mark.parametrize("action", ["reset_before", "status"])
async def test_given_a_send_that_never_arrived_when_repeated_then_it_is_sent(
    stub: Any, control: httpx.AsyncClient, action: str
) -> None:
    chat, began = await new_chat(control), now()
    await fault(control, action)
    assert (await stub.SendMessage(request(chat))).outcome == pb.SEND_OUTCOME_UNCLEAR
    sent = await stub.SendMessage(request(chat, unclear_since_time=began))
    assert (sent.outcome, sent.found_by_reading_back) == (pb.SEND_OUTCOME_SENT, False)
    assert len(await deliveries(control)) == 1


@pytest.mark.parametrize("action", ["timeout_before", "timeout_after"])
async def test_given_a_send_that_times_out_when_repeated_then_the_simulator_has_it_once(
    stub: Any, control: httpx.AsyncClient, action: str
) -> None:
    chat, began = await new_chat(control), now()
    await fault(control, action)
    unclear = await stub.SendMessage(request(chat), timeout=2.5)
    assert (unclear.outcome, unclear.reason) == (pb.SEND_OUTCOME_UNCLEAR, "timeout")
    sent = await stub.SendMessage(request(chat, unclear_since_time=began))
    assert sent.outcome == pb.SEND_OUTCOME_SENT
    assert sent.found_by_reading_back is (action == "timeout_after")
    assert len(await deliveries(control)) == 1


async def test_given_a_repeat_while_the_first_still_runs_when_sent_at_once_then_one_leaves(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "delay", delay_seconds=1.0)
    answers = await asyncio.gather(*(stub.SendMessage(request(chat)) for _ in range(5)))
    outcomes = sorted(answer.outcome for answer in answers)
    assert outcomes == [pb.SEND_OUTCOME_SENT] + [pb.SEND_OUTCOME_UNCLEAR] * 4
    assert {answer.reason for answer in answers} == {"", "in_progress"}
    assert len(await deliveries(control)) == 1


async def test_given_a_read_back_that_fails_when_repeated_then_nothing_is_sent(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "status", operation="list_messages", status=500)
    answer = await stub.SendMessage(request(chat, unclear_since_time=now()))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_UNCLEAR, "kommo_unavailable")
    assert await deliveries(control) == []


async def test_given_a_closed_and_reopened_talk_when_sent_to_the_old_one_then_the_new_one_takes_it(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    assert (await control.post(f"/control/talks/{chat['talk_id']}/close")).status_code == 204
    reopened = await new_chat(control, chat_id=chat["chat_id"])
    answer = await stub.SendMessage(request(chat))
    assert (answer.outcome, answer.talk_id) == (pb.SEND_OUTCOME_SENT, str(reopened["talk_id"]))
    again = await stub.SendMessage(request(chat, unclear_since_time=now()))
    assert (again.found_by_reading_back, again.talk_id) == (True, str(reopened["talk_id"]))
    assert len(await deliveries(control)) == 1


async def test_given_the_own_channel_behind_the_talks_when_these_cannot_then_the_channel_sends(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with simulated(plan_has_addon=False) as simulator:
        account = account_of(simulator, transports=("talk_message", "own_channel"))
        stage, settings = simulator.simulator.stage, simulator.simulator.settings
        client = ClientLine(text="hola", origin=settings.origin, deliver=False)
        written = stage.client_writes(client)
        chat = {"chat_id": written.chat_id, "talk_id": written.talk_id, "contact_id": 1, "origin": settings.origin}
        began = now()
        async with served(account) as stub:
            simulator.simulator.faults.add(FaultOrder("reset_after", Match(operation="new_message")))
            unclear = await stub.SendMessage(request(chat))
            found = await stub.SendMessage(request(chat, unclear_since_time=began))
        outgoing = [message for message in simulator.simulator.world.messages.values() if message.is_outgoing]
    assert (unclear.outcome, unclear.transport) == (pb.SEND_OUTCOME_UNCLEAR, "own_channel")
    assert (found.outcome, found.transport, found.found_by_reading_back) == (
        pb.SEND_OUTCOME_SENT,
        # Read back where it can be seen first: the talk shows the channel's messages too.
        "talk_message",
        True,
    )
    assert list(found.kommo_message_ids) == [message.id for message in outgoing]


async def test_given_an_attempt_that_could_still_show_up_when_repeated_at_once_then_it_waits_before_it_sends(
    simulator: RunningSimulator, served: Callable[..., Any], account_of: Callable[..., Any], control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "reset_before")
    reasons = []
    async with served(account_of(simulator), kommo_settle_seconds=2.0) as stub:
        await stub.SendMessage(request(chat))
        began = now()
        answer = await stub.SendMessage(request(chat, unclear_since_time=began))
        while answer.reason == "not_settled":
            reasons.append(answer.reason)
            await asyncio.sleep(to_seconds(answer.retry_after))
            answer = await stub.SendMessage(request(chat, unclear_since_time=began))
    assert (answer.outcome, answer.found_by_reading_back) == (pb.SEND_OUTCOME_SENT, False)
    assert reasons == ["not_settled"]
    assert len(await deliveries(control)) == 1
