"""The transport `talk_message` against a scripted peer: which talk, which pieces, and what is read before a repeat."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from kommo_service.adapters.kommo_http import KommoHttp
from kommo_service.adapters.rest import Rest
from kommo_service.adapters.talk_message import TalkMessage
from kommo_service.domain.limiter import KommoRateLimited
from kommo_service.domain.message import NOTHING_SENT, Message, Progress
from kommo_service.domain.outcomes import Reason, RetryLater, Sent, TellPerson, TryAnotherWay, Unclear

CHAT = "72ff78ce-9d66-5162-811d-285c062f4440"
MESSAGE = Message("d1", "12345", CHAT, "Sí, tenemos stock.", talk_id="4101", contact_id="41760001")
LONG = " ".join(f"Frase número {number} del catálogo." for number in range(60))


def talk(talk_id: int, chat_id: str = CHAT, is_open: bool = True) -> dict[str, Any]:
    return {"talk_id": talk_id, "chat_id": chat_id, "is_in_work": is_open, "updated_at": talk_id}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"_embedded": {"talks": list(items)}}


def said(message_id: str, text: str, at: float, author: str = "bot") -> dict[str, Any]:
    return {"id": message_id, "type": "outgoing", "text": text, "created_at": int(at), "author": {"type": author}}


def messages(*items: dict[str, Any], more: bool = False) -> dict[str, Any]:
    links = {"next": {"href": "https://x.test"}} if more else {}
    return {"_links": links, "_embedded": {"messages": list(items)}}


def repeat(clock: Any, message: Message = MESSAGE) -> Message:
    return replace(message, unclear_since=clock.now() - timedelta(seconds=10))


async def test_given_a_talk_when_sent_then_one_request_carries_text_and_token(
    peer: Any, talk_message: TalkMessage
) -> None:
    peer.will(202, {"id": "m1"})
    assert await talk_message.send(MESSAGE, NOTHING_SENT) == Sent(("m1",))
    (exchange,) = peer.seen
    assert (exchange.method, exchange.target) == ("POST", "/api/v4/talks/4101/send_message")
    assert exchange.headers["authorization"] == "Bearer token-1"
    assert exchange.headers["content-type"] == "application/json"
    assert json.loads(exchange.body) == {"text": "Sí, tenemos stock."}


@pytest.mark.parametrize("status", [404, 422])
async def test_given_a_talk_that_is_gone_when_sent_then_the_chat_s_newest_open_talk_takes_it(
    peer: Any, talk_message: TalkMessage, status: int
) -> None:
    peer.will(status, {"detail": "gone"})
    peer.will(200, listed(talk(4101, is_open=False), talk(4105), talk(4109, "another chat"), talk(4102)))
    peer.will(202, {"id": "m1"})
    assert await talk_message.send(MESSAGE, NOTHING_SENT) == Sent(("m1",), talk_id="4105")
    assert "filter%5Bcontact_id%5D=41760001" in peer.seen[1].target
    assert peer.seen[2].target == "/api/v4/talks/4105/send_message"


@pytest.mark.parametrize("talk_id", ["", "../../leads/1", "４１"])
async def test_given_no_usable_talk_when_sent_then_it_is_looked_up_first(
    peer: Any, talk_message: TalkMessage, talk_id: str
) -> None:
    peer.will(200, listed(talk(4105)))
    peer.will(202, {"id": "m1"})
    assert await talk_message.send(replace(MESSAGE, talk_id=talk_id), NOTHING_SENT) == Sent(("m1",), talk_id="4105")


async def test_given_no_contact_when_looked_up_then_the_newest_talks_are_searched_for_the_chat(
    peer: Any, talk_message: TalkMessage
) -> None:
    peer.will(200, listed(talk(4105), talk(4110, "another chat")))
    peer.will(202, {"id": "m1"})
    message = replace(MESSAGE, talk_id="", contact_id="")
    assert await talk_message.send(message, NOTHING_SENT) == Sent(("m1",), talk_id="4105")
    assert "filter" not in peer.seen[0].target


@pytest.mark.parametrize("talks", [[], [talk(4110, "another chat")], [talk(4105, is_open=False)]])
async def test_given_no_open_talk_of_the_chat_when_sent_then_another_way_is_tried(
    peer: Any, talk_message: TalkMessage, talks: list[dict[str, Any]]
) -> None:
    peer.will(200, listed(*talks))
    assert await talk_message.send(replace(MESSAGE, talk_id=""), NOTHING_SENT) == TryAnotherWay(Reason.NO_TALK)


async def test_given_the_simulator_when_it_shows_a_stand_in_for_an_unknown_chat_then_that_takes_it(
    peer: Any, talk_message: TalkMessage
) -> None:
    peer.will(200, listed(talk(77, "contact-41760001")))
    peer.will(202, {"id": "m1"})
    simulated = replace(talk_message, is_simulated=True)
    assert await simulated.send(replace(MESSAGE, talk_id=""), NOTHING_SENT) == Sent(("m1",), talk_id="77")


async def test_given_a_closed_talk_and_a_search_that_fails_when_sent_then_it_is_tried_later(
    peer: Any, talk_message: TalkMessage
) -> None:
    peer.will(422, {"detail": "Talk is closed"})
    peer.will(503, "down", "text/plain")
    outcome = await talk_message.send(MESSAGE, NOTHING_SENT)
    assert outcome == RetryLater(5, Reason.KOMMO_UNAVAILABLE)


async def test_given_a_long_text_when_sent_then_its_pieces_leave_in_order(peer: Any, talk_message: TalkMessage) -> None:
    for number in range(2):
        peer.will(202, {"id": f"m{number}"})
    assert await talk_message.send(replace(MESSAGE, text=LONG), NOTHING_SENT) == Sent(("m0", "m1"))
    texts = [json.loads(exchange.body)["text"] for exchange in peer.seen]
    assert all(len(text) <= 1000 and text.endswith(".") for text in texts)
    assert " ".join(texts) == LONG


async def test_given_a_second_piece_that_is_refused_when_sent_then_a_repeat_reads_and_sends_only_that(
    peer: Any, talk_message: TalkMessage, http_to: Callable[..., KommoHttp], clock: Any
) -> None:
    message = replace(MESSAGE, text=LONG)
    peer.will(202, {"id": "m0"})
    peer.will(429, "<html>", "text/html")
    outcome = await talk_message.send(message, NOTHING_SENT)
    assert outcome == Unclear(1.0, Reason.PARTLY_SENT)

    first, second = (json.loads(exchange.body)["text"] for exchange in peer.seen)
    again = replace(talk_message, rest=Rest(http_to(peer.url, clock), lambda: (SecretStr("token-1"),)))
    peer.will(200, messages(said("m0", first, clock.now().timestamp())))
    progress = await again.find(repeat(clock, message))
    assert progress == Progress(("m0",), 1, "4101")
    peer.will(202, {"id": "m1"})
    assert isinstance(progress, Progress)
    assert await again.send(message, progress) == Sent(("m0", "m1"))
    assert json.loads(peer.seen[-1].body)["text"] == second


async def test_given_a_lease_that_ends_between_pieces_when_sent_then_the_rest_does_not_start(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    async def slow(exchange: Any) -> None:
        clock.at += timedelta(seconds=6)
        await exchange.answer(202, {"id": "m0"})

    peer.does(slow)
    message = replace(MESSAGE, text=LONG, start_before=clock.now() + timedelta(seconds=5))
    assert await talk_message.send(message, NOTHING_SENT) == Unclear(1.0, Reason.PARTLY_SENT)
    assert len(peer.seen) == 1


async def test_given_an_unclear_attempt_that_arrived_when_read_back_then_it_is_found_and_not_sent(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    at = clock.now().timestamp() - 9
    peer.will(200, messages(said("old", MESSAGE.text, at - 600), said("m1", MESSAGE.text, at)))
    assert await talk_message.find(repeat(clock)) == Sent(("m1",), True)
    assert peer.seen[0].target == "/api/v4/talks/4101/messages?limit=250&page=1"


async def test_given_a_talk_of_several_pages_when_read_back_then_all_are_read(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    at = clock.now().timestamp()
    peer.will(200, messages(said("a", "otra", at), more=True))
    peer.will(200, messages(said("m1", MESSAGE.text, at)))
    assert await talk_message.find(repeat(clock)) == Sent(("m1",), True)


async def test_given_an_attempt_that_went_to_another_talk_when_read_back_then_it_is_found_there(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    peer.will(204)
    peer.will(200, listed(talk(4101), talk(4100, is_open=False), talk(9, "another chat")))
    peer.will(200, messages(said("m1", MESSAGE.text, clock.now().timestamp())))
    assert await talk_message.find(repeat(clock)) == Sent(("m1",), True, "4100")
    assert [exchange.method for exchange in peer.seen] == ["GET", "GET", "GET"]


async def test_given_words_of_a_person_or_of_another_delivery_when_read_back_then_nothing_is_found(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    at = clock.now().timestamp()
    peer.will(200, messages(said("p", MESSAGE.text, at, "internal"), said("other", MESSAGE.text, at)))
    peer.will(204)
    message = replace(repeat(clock), claimed_ids=frozenset({"other"}))
    assert await talk_message.find(message) == NOTHING_SENT


async def test_given_a_read_back_that_kommo_refuses_when_repeated_then_a_person_decides(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    peer.will(403, {"detail": "Invalid scope"}, "application/problem+json")
    assert await talk_message.find(repeat(clock)) == TellPerson(Reason.READ_BACK_REFUSED)


async def test_given_a_read_back_that_fails_halfway_when_repeated_then_it_stays_unclear(
    peer: Any, talk_message: TalkMessage, clock: Any
) -> None:
    peer.will(200, messages())
    peer.does(lambda exchange: exchange.reset())
    assert await talk_message.find(repeat(clock)) == Unclear(5, Reason.CONNECTION_FAILED)


async def test_given_a_spent_second_when_sent_then_it_is_refused_and_nothing_leaves(
    peer: Any, http_to: Callable[..., KommoHttp], clock: Any
) -> None:
    transport = TalkMessage(Rest(http_to(peer.url, clock, rate=2), lambda: (SecretStr("t"),)), False, clock.now)
    peer.will(202, {"id": "m1"})
    await transport.send(MESSAGE, NOTHING_SENT)
    with pytest.raises(KommoRateLimited):
        await transport.send(MESSAGE, NOTHING_SENT)
    assert len(peer.seen) == 1
