"""The worker between relay and Kommo: what is asked for each delivery, and typing that never holds a turn up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from gateway.worker import relays
from gateway.worker.typing_shown import typing_shown
from kommomesh.conversation.v1 import channel_message_pb2 as channel_pb
from kommomesh.conversation.v1 import conversation_pb2, turn_service_pb2
from kommomesh.conversation.v1.outbox_service_pb2 import (
    FailedReport,
    LeasedDelivery,
    OpenedReport,
    RetryReport,
    SentReport,
    SkippedReport,
)
from kommomesh.kommo.v1 import channel_service_pb2 as pb
from kommomesh.kommo.v1 import channel_service_pb2_grpc as pb_grpc
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo
from kommomesh_runtime.accounts import Account, Accounts, ChannelConfig
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

NAME = "kommomesh.kommo.v1.ChannelService"
SENT, LATER = kommo.SEND_OUTCOME_SENT, kommo.SEND_OUTCOME_RETRY_LATER
UNCLEAR, PERSON = kommo.SEND_OUTCOME_UNCLEAR, kommo.SEND_OUTCOME_TELL_PERSON
MIRROR, RELAY = conversation_pb2.DELIVERY_KIND_MIRROR, conversation_pb2.DELIVERY_KIND_RELAY


@dataclass
class Channels(pb_grpc.ChannelServiceServicer):
    """Answers each call with one outcome, and remembers what was asked."""

    outcome: int = SENT
    asked: list[Any] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def OpenChat(self, request: pb.OpenChatRequest, context: grpc.aio.ServicerContext) -> pb.OpenChatResponse:
        self.asked.append(request)
        return pb.OpenChatResponse(outcome=self.outcome, chat_ref_id="ref-1", reason="r")

    async def MirrorMessage(
        self, request: pb.MirrorMessageRequest, context: grpc.aio.ServicerContext
    ) -> pb.MirrorMessageResponse:
        self.asked.append(request)
        return pb.MirrorMessageResponse(outcome=self.outcome, kommo_message_id="k-1", reason="r")

    async def MirrorStatus(
        self, request: pb.MirrorStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.MirrorStatusResponse:
        self.asked.append(request)
        return pb.MirrorStatusResponse(outcome=self.outcome, reason="r")

    async def RelayMessage(
        self, request: pb.RelayMessageRequest, context: grpc.aio.ServicerContext
    ) -> pb.RelayMessageResponse:
        self.asked.append(request)
        status = pb.CHANNEL_STATUS_READ
        return pb.RelayMessageResponse(outcome=self.outcome, relay_message_id="w-1", status=status, reason="r")

    async def ShowTyping(
        self, request: pb.ShowTypingRequest, context: grpc.aio.ServicerContext
    ) -> pb.ShowTypingResponse:
        self.asked.append(request)
        self.arrived.set()
        await self.answers.wait()
        return pb.ShowTypingResponse()


@asynccontextmanager
async def served(channels: Channels) -> AsyncIterator[Any]:
    service = Service(NAME, lambda server: pb_grpc.add_ChannelServiceServicer_to_server(channels, server))
    async with (
        running_server([service], ServerSettings(port=0, drain_seconds=0, grace_seconds=0)) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=(NAME,), limit_seconds=60) as channel,
    ):
        yield pb_grpc.ChannelServiceStub(channel)


def leased(kind: int, *, chat_ref_id: str = "ref-1", **details: Any) -> LeasedDelivery:
    message = channel_pb.ChannelMessage(kommo_message_ids=["k-9"], **details)
    delivery = conversation_pb2.Delivery(id="d-1", account_id="a", kind=kind, text="hola", channel_message=message)
    return LeasedDelivery(delivery=delivery, channel_conversation_id="wa-1", chat_ref_id=chat_ref_id)


def opening() -> LeasedDelivery:
    return leased(MIRROR, chat_ref_id="")


def mirroring() -> LeasedDelivery:
    return leased(MIRROR)


def telling() -> LeasedDelivery:
    return leased(MIRROR, status=channel_pb.RELAY_STATUS_FAILED, error="why")


def relaying() -> LeasedDelivery:
    return leased(RELAY, is_person=True)


@pytest.mark.parametrize(
    ("make", "outcome", "report"),
    [
        (opening, SENT, OpenedReport(chat_ref_id="ref-1")),
        (opening, PERSON, FailedReport(reason="r")),
        (mirroring, SENT, SentReport(transport="own_channel", kommo_message_ids=["k-1"])),
        (mirroring, LATER, RetryReport(reason="r")),
        (mirroring, UNCLEAR, RetryReport(reason="r", is_unclear=True)),
        (mirroring, PERSON, FailedReport(reason="r")),
        (telling, SENT, SentReport(transport="own_channel")),
        (telling, LATER, RetryReport(reason="r")),
        (telling, PERSON, SkippedReport(reason="r")),
        (
            relaying,
            SENT,
            SentReport(transport="relay", kommo_message_ids=["w-1"], relay_status=channel_pb.RELAY_STATUS_READ),
        ),
        (relaying, UNCLEAR, RetryReport(reason="r", is_unclear=True)),
        (relaying, PERSON, FailedReport(reason="r")),
    ],
)
async def test_given_each_delivery_and_outcome_when_carried_then_its_report(
    make: Any, outcome: int, report: Any
) -> None:
    channels = Channels(outcome)
    async with served(channels) as stub:
        delivery = make()
        assert relays.is_of_channel(delivery)
        assert await relays.carried(stub, delivery, 10) == report
    (asked,) = channels.asked
    assert asked.account_id == "a"


def a_turn(origin: str) -> turn_service_pb2.LeasedTurn:
    conversation = conversation_pb2.Conversation(account_id="a", chat_id="wa-1", origin=origin)
    return turn_service_pb2.LeasedTurn(turn_id="t", conversation=conversation)


def account(relay_url: str) -> Account:
    channel = ChannelConfig(scope_id="c_a", code="amo.ext.x", relay_url=relay_url)
    return Account(id="a", subdomain="a", channel=channel)


async def test_given_a_relay_that_never_answers_when_a_turn_is_decided_then_typing_was_shown_and_held_nothing_up() -> (
    None
):
    channels = Channels()
    async with served(channels) as stub:
        accounts = Accounts.of(account("https://relay.example.com/m"))
        async with typing_shown(stub, accounts, a_turn("amo.ext.x")):
            await channels.arrived.wait()
        assert [one.conversation_id for one in channels.asked] == ["wa-1"]


@pytest.mark.parametrize(("relay_url", "origin"), [("", "amo.ext.x"), ("https://relay.example.com/m", "waba")])
async def test_given_no_relay_for_the_chat_when_a_turn_is_decided_then_nobody_is_asked(
    relay_url: str, origin: str
) -> None:
    channels = Channels()
    channels.answers.set()
    async with served(channels) as stub:
        async with typing_shown(stub, Accounts.of(account(relay_url)), a_turn(origin)):
            pass
        assert channels.asked == []
