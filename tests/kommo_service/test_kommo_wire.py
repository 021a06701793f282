"""SendMessage through the real gRPC server, against the simulator over real sockets."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from support.kommo_sends import deliveries, fault, new_chat, now, request

from kommo_simulator import RunningSimulator
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.parsing import from_time, to_seconds


async def test_given_an_open_talk_when_sent_then_the_simulator_has_it_once_with_this_id(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    answer = await stub.SendMessage(request(chat))
    (delivery,) = await deliveries(control)
    assert answer.outcome == pb.SEND_OUTCOME_SENT
    assert (answer.transport, answer.talk_id, answer.found_by_reading_back) == ("talk_message", "", False)
    assert list(answer.kommo_message_ids) == [delivery["id"]]
    assert (delivery["text"], delivery["author_type"]) == ("*Sí*, tenemos stock.", "bot")


async def test_given_a_chat_the_simulator_never_saw_when_sent_then_it_still_arrives(
    stub: Any, control: httpx.AsyncClient
) -> None:
    unknown = {"chat_id": "chat-test-001", "talk_id": "", "contact_id": 999, "origin": "whatsapp"}
    answer = await stub.SendMessage(request(unknown))
    assert answer.outcome == pb.SEND_OUTCOME_SENT
    assert answer.talk_id
    again = await stub.SendMessage(request(unknown, unclear_since_time=now()))
    assert again.found_by_reading_back
    assert len(await deliveries(control)) == 1


async def test_given_a_closed_talk_and_no_other_when_sent_then_a_person_is_told(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await control.post(f"/control/talks/{chat['talk_id']}/close")
    answer = await stub.SendMessage(request(chat))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_TELL_PERSON, "talk_closed")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"plan_has_addon": False}, "plan_lacks_addon"),
        ({"token_scopes": ("crm",)}, "scope_missing"),
        ({"access_token": "another"}, "token_refused"),
    ],
)
async def test_given_an_account_that_may_not_send_when_sent_then_a_person_is_told_why(
    simulated: Any, served: Any, account_of: Any, settings: dict[str, Any], reason: str
) -> None:
    async with simulated(**settings) as simulator:
        secrets = {"access_token": ({"value": "local-development-token"},)}
        async with served(account_of(simulator, secrets=secrets)) as stub:
            answer = await stub.SendMessage(request({"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_TELL_PERSON, reason)


async def test_given_a_token_that_no_header_can_carry_when_sent_then_it_is_a_wrong_one(
    simulator: Any, served: Any, account_of: Any
) -> None:
    secrets = {"access_token": ({"value": "tokén"},)}
    async with served(account_of(simulator, secrets=secrets)) as stub:
        answer = await stub.SendMessage(request({"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_TELL_PERSON, "token_refused")


async def test_given_a_quota_that_is_used_up_when_sent_then_a_person_is_told(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with simulated(quota=1) as simulator, served(account_of(simulator)) as stub:
        chat = {"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}
        first = await stub.SendMessage(request(chat))
        second = await stub.SendMessage(request(chat, delivery_id="another"))
    assert first.outcome == pb.SEND_OUTCOME_SENT
    assert (second.outcome, second.reason) == (pb.SEND_OUTCOME_TELL_PERSON, "quota_used_up")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(429, "<html></html>", "rate_limited"), (403, "<html>403 Forbidden</html>", "kommo_banned")],
)
async def test_given_kommo_says_too_much_when_sent_then_it_is_for_later_and_the_account_rests(
    stub: Any, control: httpx.AsyncClient, status: int, body: str, reason: str
) -> None:
    chat = await new_chat(control)
    await fault(control, "status", status=status, body=body)
    later = await stub.SendMessage(request(chat))
    assert (later.outcome, later.reason) == (pb.SEND_OUTCOME_RETRY_LATER, reason)
    assert to_seconds(later.retry_after) >= 1
    with pytest.raises(RemoteError) as caught:
        await stub.SendMessage(request(chat))
    assert (caught.value.code, caught.value.reason) == ("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED")
    assert caught.value.retry_after is not None
    assert await deliveries(control) == []


async def test_given_more_messages_than_the_rate_when_sent_at_once_then_kommo_never_has_to_refuse(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with simulated(rate=7) as simulator, served(account_of(simulator, requests_per_second=7.0)) as stub:
        chat = {"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}
        answers = await asyncio.gather(
            *(stub.SendMessage(request(chat, delivery_id=f"d{number}")) for number in range(20)),
            return_exceptions=True,
        )
        statuses = [entry.status for entry in simulator.simulator.received]
    refused = [answer for answer in answers if isinstance(answer, RemoteError)]
    assert {error.reason for error in refused} == {"KOMMO_RATE_LIMITED"}
    assert all(error.retry_after for error in refused)
    assert statuses == [202] * (20 - len(refused))
    assert 1 <= len(statuses) <= 7


async def test_given_two_accounts_with_the_same_ids_when_sent_then_each_keeps_to_its_own(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with (
        simulated() as one,
        simulated(access_token="other-token", account_id=777) as two,
        served(account_of(one, requests_per_second=1.0), account_of(two, "777", requests_per_second=1.0)) as stub,
    ):
        chat = {"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}
        first = await stub.SendMessage(request(chat))
        second = await stub.SendMessage(request(chat, account_id="777"))
        with pytest.raises(RemoteError) as caught:
            await stub.SendMessage(request(chat))
        assert caught.value.metadata == {"account_id": "12345"}
        assert (first.outcome, second.outcome) == (pb.SEND_OUTCOME_SENT, pb.SEND_OUTCOME_SENT)
        assert len(one.simulator.world.messages) == len(two.simulator.world.messages) == 1


async def test_given_a_start_time_that_has_passed_when_sent_then_nothing_starts(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    past = from_time(datetime.now(UTC) - timedelta(seconds=1))
    answer = await stub.SendMessage(request(chat, start_before_time=past))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_RETRY_LATER, "lease_ended")
    assert await deliveries(control) == []


async def test_given_an_account_with_oauth_when_sent_then_it_is_refused_with_that_reason(
    simulator: RunningSimulator, served: Any, account_of: Any
) -> None:
    account = account_of(simulator, authorization="oauth", transports=("talk_message", "own_channel"))
    async with served(account) as stub:
        answer = await stub.SendMessage(request({"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": "waba"}))
    assert (answer.outcome, answer.reason) == (pb.SEND_OUTCOME_TELL_PERSON, "oauth_unsupported")
    assert not simulator.simulator.received


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"delivery_id": ""}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"account_id": ""}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"chat_id": ""}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"text": " \n "}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"text": "x" * 4097}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"account_id": "999"}, "NOT_FOUND", "ACCOUNT_NOT_FOUND"),
    ],
)
async def test_given_a_request_that_cannot_be_carried_out_when_sent_then_the_error_says_so(
    stub: Any, changes: dict[str, Any], code: str, reason: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        await stub.SendMessage(request({"chat_id": "c", "talk_id": 5, "contact_id": 1, "origin": ""}, **changes))
    assert (caught.value.code, caught.value.reason) == (code, reason)
