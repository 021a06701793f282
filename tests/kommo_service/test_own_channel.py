"""The transport `own_channel` against the simulator's strictly signed Chats API."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kommo_service.adapters.chats import Chats
from kommo_service.adapters.kommo_http import KommoHttp
from kommo_service.adapters.own_channel import OwnChannel
from kommo_service.domain.message import NOTHING_SENT, Message, Progress
from kommo_service.domain.outcomes import Reason, RetryLater, Sent, TryAnotherWay, Unclear
from kommo_simulator import RunningSimulator
from kommomesh_runtime.accounts import ChannelConfig

LONG = " ".join(f"Frase número {number} del catálogo." for number in range(160))


@pytest.fixture
def chats(simulator: RunningSimulator, http_to: Callable[..., KommoHttp]) -> Callable[..., Chats]:
    def make(url: str = simulator.url, clock: Any = None, **changes: str) -> Chats:
        settings = simulator.simulator.settings
        secret = SecretStr(changes.get("secret", settings.channel_secret.get_secret_value()))
        now = clock.now if clock else partial(datetime.now, UTC)
        return Chats(http_to(url, clock), changes.get("scope_id", settings.scope_id), lambda: (secret,), now)

    return make


@pytest.fixture
def channel(simulator: RunningSimulator, chats: Callable[..., Chats]) -> Callable[..., OwnChannel]:
    def make(url: str = simulator.url, clock: Any = None, **changes: str) -> OwnChannel:
        settings = simulator.simulator.settings
        config = ChannelConfig(scope_id=settings.scope_id, bot_id=settings.bot_id, code=settings.origin)
        return OwnChannel(chats(url, clock, **changes), config, clock.now if clock else partial(datetime.now, UTC))

    return make


@pytest.fixture
async def message(simulator: RunningSimulator, chats: Callable[..., Chats]) -> Message:
    """A message to a client who wrote in the own channel."""
    now = datetime.now(UTC)
    payload = {
        "timestamp": int(now.timestamp()),
        "msec_timestamp": int(now.timestamp() * 1000),
        "msgid": "wamid-1",
        "conversation_id": "wa-5493510000001",
        "sender": {"id": "wa-5493510000001", "name": "Elena V."},
        "message": {"type": "text", "text": "hola"},
    }
    await chats().new_message(payload)
    (chat,) = simulator.simulator.world.chats.values()
    return Message("d1", "12345", chat.id, "¿Querés pasar mañana? 👍", origin=chat.origin)


@pytest.fixture
def sent_by_bot(simulator: RunningSimulator) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        return [found for found in simulator.simulator.world.messages.values() if found.is_outgoing]

    return read


async def test_given_a_chat_of_the_channel_when_sent_then_it_is_the_bot_s_message_in_that_chat(
    channel: Callable[..., OwnChannel], message: Message, sent_by_bot: Callable[[], list[Any]]
) -> None:
    outcome = await channel().send(message, NOTHING_SENT)
    (found,) = sent_by_bot()
    assert outcome == Sent((found.id,))
    assert (found.chat_id, found.text, found.author.type) == (message.chat_id, message.text, "bot")
    assert found.client_msgid == str(message.piece_id(0))


async def test_given_a_message_that_kommo_has_when_sent_again_then_its_id_comes_from_the_history(
    channel: Callable[..., OwnChannel], message: Message, sent_by_bot: Callable[[], list[Any]]
) -> None:
    first = await channel().send(message, NOTHING_SENT)
    again = await channel().send(message, NOTHING_SENT)
    assert isinstance(first, Sent)
    assert again == Sent(first.ids, True)
    assert len(sent_by_bot()) == 1


async def test_given_an_unclear_attempt_when_read_back_then_the_history_tells(
    channel: Callable[..., OwnChannel], message: Message
) -> None:
    repeat = replace(message, unclear_since=datetime.now(UTC))
    assert await channel().find(repeat) == NOTHING_SENT
    first = await channel().send(message, NOTHING_SENT)
    assert isinstance(first, Sent)
    assert await channel().find(repeat) == Sent(first.ids, True)


async def test_given_an_answer_that_is_lost_when_sent_then_it_is_unclear_and_a_repeat_is_harmless(
    simulator: RunningSimulator,
    control: httpx.AsyncClient,
    channel: Callable[..., OwnChannel],
    message: Message,
    sent_by_bot: Callable[[], list[Any]],
) -> None:
    order = {"action": "reset_after", "match": {"operation": "new_message"}}
    await control.post("/control/faults", json=order)
    outcome = await channel().send(message, NOTHING_SENT)
    assert outcome == Unclear(5, Reason.CONNECTION_LOST)
    again = await channel().send(message, NOTHING_SENT)
    assert isinstance(again, Sent)
    assert len(sent_by_bot()) == 1


async def test_given_a_text_of_several_pieces_when_half_is_there_then_only_the_rest_is_sent(
    channel: Callable[..., OwnChannel],
    control: httpx.AsyncClient,
    message: Message,
    sent_by_bot: Callable[[], list[Any]],
) -> None:
    long = replace(message, text=LONG)
    order = {"action": "status", "match": {"operation": "new_message"}, "skip": 1, "status": 429}
    await control.post("/control/faults", json=order)
    outcome = await channel().send(long, NOTHING_SENT)
    assert isinstance(outcome, Unclear)
    assert outcome.reason is Reason.PARTLY_SENT

    progress = await channel().find(replace(long, unclear_since=datetime.now(UTC)))
    assert isinstance(progress, Progress)
    finished = await channel().send(long, progress)
    assert finished == Sent(tuple(found.id for found in sent_by_bot()))
    assert " ".join(found.text for found in sent_by_bot()) == LONG


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret": "0" * 40}, Reason.SIGNATURE_REFUSED),
        ({"scope_id": "another_scope"}, Reason.SIGNATURE_REFUSED),
    ],
)
async def test_given_a_wrong_secret_or_scope_when_sent_then_the_signature_is_refused(
    channel: Callable[..., OwnChannel], message: Message, changes: dict[str, str], reason: Reason
) -> None:
    assert await channel(**changes).send(message, NOTHING_SENT) == TryAnotherWay(reason)


async def test_given_a_clock_that_is_wrong_when_sent_then_it_is_said_and_no_second_request_is_made(
    simulator: RunningSimulator, channel: Callable[..., OwnChannel], message: Message, clock: Any
) -> None:
    clock.at = datetime.now(UTC) - timedelta(minutes=20)
    wrong = channel(clock=clock)
    assert await wrong.send(message, NOTHING_SENT) == TryAnotherWay(Reason.CLOCK_DRIFT)
    requests = len(simulator.simulator.received)
    assert await wrong.send(message, NOTHING_SENT) == TryAnotherWay(Reason.CLOCK_DRIFT)
    assert len(simulator.simulator.received) == requests
    clock.at += timedelta(minutes=20)
    assert isinstance(await wrong.send(message, NOTHING_SENT), Sent)


@pytest.mark.parametrize("origin", ["waba", "", "amo.ext.somebody-else"])
async def test_given_a_chat_of_another_channel_when_sent_then_no_request_is_made(
    simulator: RunningSimulator, channel: Callable[..., OwnChannel], message: Message, origin: str
) -> None:
    requests = len(simulator.simulator.received)
    foreign = replace(message, origin=origin, unclear_since=datetime.now(UTC))
    assert await channel().find(foreign) == NOTHING_SENT
    assert await channel().send(foreign, NOTHING_SENT) == TryAnotherWay(Reason.NOT_OWN_CHANNEL)
    assert len(simulator.simulator.received) == requests


async def test_given_a_chat_that_the_channel_does_not_know_when_sent_then_no_chat_is_made(
    simulator: RunningSimulator, channel: Callable[..., OwnChannel], message: Message
) -> None:
    unknown = replace(message, chat_id="00000000-0000-4000-8000-000000000000")
    assert await channel().send(unknown, NOTHING_SENT) == TryAnotherWay(Reason.NOT_OWN_CHANNEL)
    assert len(simulator.simulator.world.chats) == 1


async def test_given_a_message_that_kommo_refuses_for_itself_when_sent_then_the_history_shows_it_is_not_there(
    peer: Any, channel: Callable[..., OwnChannel], message: Message
) -> None:
    history = {"messages": [{"sender": {"id": "a", "client_id": "wa-1", "name": "E"}, "message": {"id": "x"}}]}
    peer.will(200, history)
    peer.will(400, {"error_code": 400})
    peer.will(200, history)
    assert await channel(peer.url).send(message, NOTHING_SENT) == TryAnotherWay(Reason.INVALID_TEXT)
    assert [exchange.method for exchange in peer.seen] == ["GET", "POST", "GET"]
    assert peer.seen[1].headers["content-type"] == "application/json"


async def test_given_a_history_that_cannot_be_read_after_a_refusal_when_sent_then_it_is_unclear(
    peer: Any, channel: Callable[..., OwnChannel], message: Message
) -> None:
    peer.will(200, {"messages": [{"sender": {"id": "a", "client_id": "wa-1", "name": "E"}}]})
    peer.will(400, {"error_code": 400})
    peer.will(502, "<html>", "text/html")
    assert await channel(peer.url).send(message, NOTHING_SENT) == Unclear(5, Reason.KOMMO_UNAVAILABLE)


async def test_given_a_lease_that_ended_when_sent_then_nothing_is_posted(
    channel: Callable[..., OwnChannel], message: Message, sent_by_bot: Callable[[], list[Any]]
) -> None:
    late = replace(message, start_before=datetime.now(UTC))
    assert await channel().send(late, NOTHING_SENT) == RetryLater(1.0, Reason.LEASE_ENDED)
    assert sent_by_bot() == []
