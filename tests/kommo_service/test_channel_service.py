"""Messages between a relay and the own channel: into Kommo against the simulator, out to a scripted relay."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from kommo_service.__main__ import open_service
from kommo_service.adapters.account_settings_check import settings_findings
from kommo_service.adapters.channel_connection import ChannelConnector
from kommo_service.adapters.kommo_http import KommoHttp
from kommo_service.adapters.relay_check import relay_findings
from kommo_service.domain.channel_check import ConnectionRefused
from kommo_service.domain.outcomes import Reason, RetryLater, Sent, TellPerson
from kommo_service.domain.relay_posts import RelayAnswer, Relayed, of_relay
from kommo_service.domain.relay_texts import failure_text
from kommo_service.settings import KommoSettings
from kommo_simulator import RunningSimulator
from kommomesh.common.v1 import common_pb2
from kommomesh.kommo.v1 import channel_service_pb2 as pb
from kommomesh.kommo.v1 import channel_service_pb2_grpc as pb_grpc
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo
from kommomesh_runtime.accounts import Account, Accounts, ChannelConfig, SecretRef
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.relay import verified
from kommomesh_runtime.server import running_server

ACCOUNT, CONVERSATION, SECRET = "12345", "wa-5493510000001", "relay-secret"
SENT, LATER = kommo.SEND_OUTCOME_SENT, kommo.SEND_OUTCOME_RETRY_LATER
UNCLEAR, PERSON = kommo.SEND_OUTCOME_UNCLEAR, kommo.SEND_OUTCOME_TELL_PERSON
NAME = "kommomesh.kommo.v1.ChannelService"


def with_relay(account: Account, relay_url: str) -> Account:
    assert account.channel is not None
    channel = account.channel.model_copy(update={"relay_url": relay_url})
    secrets = {**account.secrets, "relay_secret": (SecretRef(value=SecretStr(SECRET)),)}
    return account.model_copy(update={"channel": channel, "secrets": secrets})


@pytest.fixture
def served_at() -> Callable[..., Any]:
    """Serve kommo-service for an account and give the port."""

    @asynccontextmanager
    async def serve(account: Account) -> AsyncIterator[int]:
        settings = KommoSettings(port=0, drain_seconds=0, grace_seconds=1)
        async with open_service(settings, Accounts.of(account)) as service, running_server([service], settings) as at:
            yield at.port

    return serve


@pytest.fixture
async def channels(
    simulator: RunningSimulator, served_at: Callable[..., Any], account_of: Callable[..., Account], peer: Any
) -> Any:
    """A stub of the service, for the account whose relay is the scripted peer."""
    async with (
        served_at(with_relay(account_of(simulator), peer.url)) as port,
        open_channel(f"dns:///127.0.0.1:{port}", services=(NAME,), limit_seconds=60) as channel,
    ):
        yield pb_grpc.ChannelServiceStub(channel)


async def opened(channels: Any) -> str:
    request = pb.OpenChatRequest(
        account_id=ACCOUNT, conversation_id=CONVERSATION, contact_name="Elena", contact_phone="+5493510000001"
    )
    answer = await channels.OpenChat(request)
    assert answer.outcome == SENT
    return str(answer.chat_ref_id)


def mirror(chat_ref_id: str, text: str = "hola", **changes: Any) -> pb.MirrorMessageRequest:
    fields = {
        "delivery_id": str(uuid4()),
        "account_id": ACCOUNT,
        "conversation_id": CONVERSATION,
        "chat_ref_id": chat_ref_id,
        "contact_name": "Elena",
        "text": text,
        **changes,
    }
    return pb.MirrorMessageRequest(**fields)


def relayed(**changes: Any) -> pb.RelayMessageRequest:
    fields = {
        "delivery_id": str(uuid4()),
        "account_id": ACCOUNT,
        "conversation_id": CONVERSATION,
        "text": "**Buenas**, abrimos a las 9.30.",
        **changes,
    }
    return pb.RelayMessageRequest(**fields)


async def test_given_a_conversation_when_its_chat_is_opened_twice_then_it_is_the_same_and_has_no_message(
    channels: Any, simulator: RunningSimulator
) -> None:
    assert await opened(channels) == await opened(channels)
    (chat,) = simulator.simulator.world.chats.values()
    contact = simulator.simulator.world.contacts[chat.contact_id]
    assert (chat.message_ids, contact.name, contact.phone) == ([], "Elena", "+5493510000001")


async def test_given_a_client_message_when_mirrored_twice_then_kommo_has_it_once_as_the_clients(
    channels: Any, simulator: RunningSimulator
) -> None:
    request = mirror(await opened(channels))
    first, again = [await channels.MirrorMessage(request) for _ in range(2)]
    (message,) = simulator.simulator.world.messages.values()
    assert (first.outcome, again.outcome) == (SENT, SENT)
    assert first.kommo_message_id == again.kommo_message_id == message.id
    assert (message.text, message.author.type) == ("hola", "external")


async def test_given_a_picture_when_mirrored_then_kommo_gets_its_address_name_and_size(
    channels: Any, simulator: RunningSimulator
) -> None:
    request = mirror(
        await opened(channels),
        text="",
        content_type=common_pb2.CONTENT_TYPE_PICTURE,
        media_url="https://files.example.com/a.jpg",
        file_name="a.jpg",
        file_size=1234,
    )
    assert (await channels.MirrorMessage(request)).outcome == SENT
    (message,) = simulator.simulator.world.messages.values()
    assert message.attachment is not None
    assert (message.message_type, message.attachment.link) == ("picture", "https://files.example.com/a.jpg")


async def test_given_a_chat_that_the_company_began_when_the_client_answers_then_it_is_in_that_chat(
    channels: Any, simulator: RunningSimulator
) -> None:
    chat_id = await opened(channels)
    assert (await channels.MirrorMessage(mirror(chat_id, conversation_id=chat_id))).outcome == SENT
    assert list(simulator.simulator.world.chats) == [chat_id]


async def test_given_a_failing_kommo_when_mirrored_then_only_refused_words_are_a_persons(
    channels: Any, control: httpx.AsyncClient
) -> None:
    chat_id = await opened(channels)
    # The last one makes the account rest.
    for fault, outcome in (
        ({"action": "status", "status": 503}, UNCLEAR),
        ({"action": "reset_after"}, UNCLEAR),
        ({"action": "status", "status": 404}, LATER),
        ({"action": "status", "status": 400}, PERSON),
        ({"action": "status", "status": 429}, LATER),
    ):
        await control.post("/control/faults", json={"match": {"operation": "new_message"}, **fault})
        assert (await channels.MirrorMessage(mirror(chat_id))).outcome == outcome, fault


async def test_given_statuses_when_told_then_kommo_shows_them_and_unknown_messages_are_passed_over(
    channels: Any, simulator: RunningSimulator
) -> None:
    known = (await channels.MirrorMessage(mirror(await opened(channels)))).kommo_message_id
    for status, shown in ((pb.CHANNEL_STATUS_READ, "read"), (pb.CHANNEL_STATUS_FAILED, "error")):
        request = pb.MirrorStatusRequest(
            account_id=ACCOUNT, kommo_message_ids=[str(uuid4()), known], status=status, error="no WhatsApp"
        )
        assert (await channels.MirrorStatus(request)).outcome == SENT
        assert simulator.simulator.world.messages[known].delivery_status == shown


async def test_given_words_of_the_bot_when_relayed_then_they_are_plain_signed_and_named_by_the_delivery(
    channels: Any, peer: Any
) -> None:
    peer.will(200, {"message_id": "wamid-out", "status": "delivered"})
    request = relayed(contact_phone="+5493510000001")
    answer = await channels.RelayMessage(request)
    (seen,) = peer.seen
    body = json.loads(seen.body)
    names = {"X-Relay-Timestamp", "X-Relay-Request-Id", "X-Relay-Signature"}
    headers = {name: seen.headers[name.lower()] for name in names}
    assert verified(headers, seen.body, (SECRET,), datetime.now(UTC)) is not None
    assert (answer.outcome, answer.relay_message_id, answer.status) == (SENT, "wamid-out", pb.CHANNEL_STATUS_DELIVERED)
    assert (body["id"], body["conversation_id"], body["author"]["kind"]) == (request.delivery_id, CONVERSATION, "bot")
    assert (body["text"], body["contact"]["phone"]) == ("Buenas, abrimos a las 9.30.", "+5493510000001")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Sent(())),
        (202, Sent(())),
        (301, TellPerson(Reason.RELAY_MOVED)),
        (400, TellPerson(Reason.RELAY_REFUSED)),
        (401, TellPerson(Reason.RELAY_SIGNATURE_REFUSED)),
        (403, TellPerson(Reason.RELAY_SIGNATURE_REFUSED)),
        (404, TellPerson(Reason.RELAY_REFUSED)),
        (408, RetryLater(7, Reason.RELAY_UNAVAILABLE)),
        (429, RetryLater(7, Reason.RELAY_UNAVAILABLE)),
        (500, RetryLater(7, Reason.RELAY_UNAVAILABLE)),
        (503, RetryLater(7, Reason.RELAY_UNAVAILABLE)),
    ],
)
def test_given_each_answer_of_a_relay_when_relayed_then_its_meaning(status: int, outcome: Any) -> None:
    assert of_relay(RelayAnswer(status, 7.0, {"message_id": 7, "status": "eaten"})) == Relayed(outcome)


async def test_given_a_relay_that_has_only_the_old_secret_when_relayed_then_it_is_signed_with_that_too(
    served_at: Callable[..., Any], account_of: Callable[..., Account], simulator: RunningSimulator, peer: Any
) -> None:
    account = with_relay(account_of(simulator), peer.url)
    newer = (SecretRef(value=SecretStr("newer")), *account.secrets["relay_secret"])
    rotated = account.model_copy(update={"secrets": {**account.secrets, "relay_secret": newer}})
    for status in (401, 200):
        peer.will(status, {})
    async with (
        served_at(rotated) as port,
        open_channel(f"dns:///127.0.0.1:{port}", services=(NAME,), limit_seconds=20) as channel,
    ):
        answer = await pb_grpc.ChannelServiceStub(channel).RelayMessage(relayed())
    refused, taken = [
        {name: one.headers[name.lower()] for name in ("X-Relay-Timestamp", "X-Relay-Request-Id", "X-Relay-Signature")}
        for one in peer.seen
    ]
    assert answer.outcome == SENT
    assert verified(refused, peer.seen[0].body, ("newer",), datetime.now(UTC)) is not None
    assert verified(taken, peer.seen[1].body, (SECRET,), datetime.now(UTC)) is not None


async def test_given_a_client_that_kommo_does_not_take_when_its_chat_is_opened_then_it_is_a_persons(
    channels: Any, control: httpx.AsyncClient
) -> None:
    order = {"action": "status", "status": 400, "match": {"operation": "create_chat"}}
    assert (await control.post("/control/faults", json=order)).status_code == 201
    request = pb.OpenChatRequest(account_id=ACCOUNT, conversation_id=CONVERSATION, contact_name="Elena")
    refused, taken = [await channels.OpenChat(request) for _ in range(2)]
    assert (refused.outcome, refused.reason, taken.outcome) == (PERSON, "client_refused", SENT)


async def test_given_a_redirect_and_an_answer_without_end_when_relayed_then_neither_is_followed(
    channels: Any, peer: Any
) -> None:
    peer.will(307, None, Location=f"{peer.url}/elsewhere")
    moved = await channels.RelayMessage(relayed())
    peer.will(200, json.dumps({"message_id": "x" * 100_000}))
    large = await channels.RelayMessage(relayed())
    peer.will(503, None, **{"Retry-After": "99999"})
    later = await channels.RelayMessage(relayed())
    assert (moved.outcome, moved.reason, large.outcome, large.relay_message_id) == (PERSON, "relay_moved", SENT, "")
    assert (later.outcome, later.retry_after.ToSeconds(), len(peer.seen)) == (LATER, 300, 3)


async def test_given_a_relay_that_breaks_off_when_relayed_then_it_is_unclear_and_the_repeat_has_the_same_id(
    channels: Any, peer: Any
) -> None:
    peer.does(lambda exchange: exchange.reset())
    peer.will(200, {})
    request = relayed()
    assert (await channels.RelayMessage(request)).outcome == UNCLEAR
    assert (await channels.RelayMessage(request)).outcome == SENT
    assert [json.loads(one.body)["id"] for one in peer.seen] == [request.delivery_id] * 2
    assert len({one.headers["x-relay-request-id"] for one in peer.seen}) == 2


async def test_given_nobody_at_the_address_or_no_address_when_relayed_then_later_or_a_person(
    served_at: Callable[..., Any], account_of: Callable[..., Account], simulator: RunningSimulator
) -> None:
    for url, outcome, reason in (
        ("http://127.0.0.1:9", LATER, "relay_unreachable"),
        ("", PERSON, "relay_not_configured"),
    ):
        async with (
            served_at(with_relay(account_of(simulator), url)) as port,
            open_channel(f"dns:///127.0.0.1:{port}", services=(NAME,), limit_seconds=60) as channel,
        ):
            answer = await pb_grpc.ChannelServiceStub(channel).RelayMessage(relayed())
            assert (answer.outcome, answer.reason) == (outcome, reason)


async def test_given_a_reply_that_is_written_when_typing_is_shown_then_the_relay_hears_of_it(
    channels: Any, peer: Any
) -> None:
    peer.will(200, {})
    await channels.ShowTyping(pb.ShowTypingRequest(account_id=ACCOUNT, conversation_id=CONVERSATION))
    assert json.loads(peer.seen[0].body)["type"] == "typing"


async def test_given_a_request_without_what_it_needs_when_called_then_invalid(channels: Any, peer: Any) -> None:
    for changes in ({"text": " "}, {"delivery_id": ""}, {"conversation_id": ""}):
        with pytest.raises(RemoteError) as caught:
            await channels.RelayMessage(relayed(**changes))
        assert (caught.value.code, caught.value.reason, peer.seen) == ("INVALID_ARGUMENT", "INVALID_FIELD", [])


def connector(account: Account, http_to: Callable[..., KommoHttp]) -> ChannelConnector:
    return ChannelConnector(account, http_to, lambda: datetime.now(UTC))


async def test_given_a_channel_when_connected_and_disconnected_then_kommo_says_where_it_is_and_lets_go(
    simulator: RunningSimulator, account_of: Callable[..., Account], http_to: Callable[..., KommoHttp]
) -> None:
    settings = simulator.simulator.settings
    # Before the first connection nobody knows the scope; the account's amojo_id is asked for.
    account = account_of(simulator, channel=ChannelConfig(scope_id="unknown", channel_id=settings.channel_id))
    simulator.simulator.is_channel_connected = False
    found = await connector(account, http_to).connect()
    assert (found.scope_id, found.hook_api_version) == (settings.scope_id, "v2")
    assert simulator.simulator.is_channel_connected
    await connector(account, http_to).disconnect()
    assert not simulator.simulator.is_channel_connected


async def test_given_something_amiss_when_connecting_then_the_text_says_what(
    simulator: RunningSimulator, account_of: Callable[..., Account], http_to: Callable[..., KommoHttp]
) -> None:
    amiss: tuple[tuple[dict[str, Any], str], ...] = (
        ({"channel": None}, "names no channel"),
        ({"secrets": {}}, "no channel_secret"),
        ({"channel": ChannelConfig(scope_id="x_y", channel_id="unknown")}, "no such channel"),
        ({"secrets": {"channel_secret": ({"value": "0" * 40},)}}, "refuses the signature"),
        ({"chats_base_url": "http://127.0.0.1:9"}, "not reached"),
    )
    for changes, said in amiss:
        with pytest.raises(ConnectionRefused, match=said):
            await connector(account_of(simulator, **changes), http_to).connect()


def test_given_a_code_or_a_relays_words_when_shown_in_kommo_then_people_can_read_it() -> None:
    assert failure_text("floor_changed", "pt-BR") == "Não foi enviada: uma pessoa assumiu o chat antes."
    assert failure_text("floor_changed", "fr-FR") == "No se envió: una persona tomó el chat antes."
    assert failure_text("131047: re-engagement message", "es-AR") == "131047: re-engagement message"


async def test_given_relays_that_answer_in_each_way_when_an_account_is_checked_then_the_finding_says_what_to_do(
    account_of: Callable[..., Account], simulator: RunningSimulator, peer: Any
) -> None:
    account = with_relay(account_of(simulator), peer.url)
    found = []
    for status in (200, 401, 404):
        peer.will(status, {})
        found += await relay_findings(account, lambda: datetime.now(UTC))
    found += await relay_findings(with_relay(account, "http://127.0.0.1:9"), lambda: datetime.now(UTC))
    assert [one.severity.value for one in found] == ["ok", "problem", "warning", "problem"]
    assert json.loads(peer.seen[0].body) == {"type": "ping"}
    assert await relay_findings(account_of(simulator), lambda: datetime.now(UTC)) == []
    assert account.channel is not None
    any_channel = account.model_copy(update={"channel": account.channel.model_copy(update={"code": ""})})
    peer.will(200, {})
    checks = [one.check for one in await relay_findings(any_channel, lambda: datetime.now(UTC))]
    assert checks == ["relay_code", "relay"]


def test_given_a_relay_but_no_way_to_it_when_the_file_is_checked_then_both_are_said(
    account_of: Callable[..., Account], simulator: RunningSimulator
) -> None:
    account = with_relay(account_of(simulator), "https://relay.example.com/m")
    without = account.model_copy(update={"secrets": {}})
    found = {one.check: one.remedy for one in settings_findings(without, (), "", is_whole=True)}
    assert "own_channel" in found["transports"]
    assert "secrets.relay_secret" in found
