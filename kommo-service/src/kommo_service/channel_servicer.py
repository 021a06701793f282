"""ChannelService over gRPC: messages between an account's relay and its own channel in Kommo."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import grpc

from kommo_service import channel_wire as wire
from kommo_service.adapters.channel_mirror import ChannelMirror
from kommo_service.adapters.chats import Chats
from kommo_service.adapters.metrics import MIRRORS, RELAYED
from kommo_service.adapters.relay import RelayPoster
from kommo_service.adapters.routes import Routes
from kommo_service.domain import relay_posts
from kommo_service.domain.channel_bodies import Status
from kommo_service.domain.limiter import KommoRateLimited
from kommo_service.domain.outcomes import FinalOutcome, Reason, RetryLater, Sent, TellPerson
from kommo_service.domain.relay_posts import Relayed, message_body, of_relay, typing_body
from kommo_service.domain.relay_texts import failure_text
from kommo_service.domain.rendering import render
from kommo_service.domain.route import LEASE_SECONDS
from kommomesh.kommo.v1 import channel_service_pb2 as pb
from kommomesh.kommo.v1 import channel_service_pb2_grpc as pb_grpc
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.parsing import require_text

NO_CHANNEL = TellPerson(Reason.CHANNEL_NOT_CONFIGURED)
_STATUS: dict[int, Status] = {
    pb.CHANNEL_STATUS_DELIVERED: Status.DELIVERED,
    pb.CHANNEL_STATUS_READ: Status.READ,
    pb.CHANNEL_STATUS_FAILED: Status.FAILED,
}
_RELAY_STATUS = {"delivered": pb.CHANNEL_STATUS_DELIVERED, "read": pb.CHANNEL_STATUS_READ}

log = get_logger()


class ChannelServicer(pb_grpc.ChannelServiceServicer):
    """See channel_service.proto for the contract of each method.

    Args:
        routes: give the hosts of each account.
        accounts: the accounts.
        relay: posts to relays.
        now: returns the time.
    """

    def __init__(self, routes: Routes, accounts: Accounts, relay: RelayPoster, now: Callable[[], datetime]) -> None:
        self._routes = routes
        self._accounts = accounts
        self._relay = relay
        self._now = now

    async def OpenChat(self, request: pb.OpenChatRequest, context: grpc.aio.ServicerContext) -> pb.OpenChatResponse:
        """Make or find the chat of a conversation."""
        account, client = self._account(request.account_id), wire.client_from_proto(request)
        mirror = self._mirror(account)
        outcome = await mirror.open_chat(client) if mirror else NO_CHANNEL
        _note("chat", account, "", outcome)
        return pb.OpenChatResponse(
            outcome=wire.outcome_of(outcome),
            chat_ref_id=wire.first_id(outcome),
            retry_after=wire.retry_after_of(outcome),
            reason=wire.reason_of(outcome),
        )

    async def MirrorMessage(
        self, request: pb.MirrorMessageRequest, context: grpc.aio.ServicerContext
    ) -> pb.MirrorMessageResponse:
        """Put a message of the client into Kommo."""
        account, message = self._account(request.account_id), wire.client_message_from_proto(request)
        mirror = self._mirror(account)
        outcome = await mirror.mirror(message) if mirror else NO_CHANNEL
        _note("message", account, message.delivery_id, outcome)
        return pb.MirrorMessageResponse(
            outcome=wire.outcome_of(outcome),
            kommo_message_id=wire.first_id(outcome),
            retry_after=wire.retry_after_of(outcome),
            reason=wire.reason_of(outcome),
        )

    async def MirrorStatus(
        self, request: pb.MirrorStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.MirrorStatusResponse:
        """Tell Kommo how far messages got."""
        account, ids = self._account(request.account_id), wire.ids_from_proto(request.kommo_message_ids)
        status = _STATUS.get(request.status)
        if status is None:
            raise InvalidArgument(field="status", problem="is required")
        mirror = self._mirror(account)
        error = failure_text(request.error, account.locale)
        outcome = await mirror.tell_status(ids, status, error) if mirror else NO_CHANNEL
        _note("status", account, "", outcome)
        return pb.MirrorStatusResponse(
            outcome=wire.outcome_of(outcome),
            retry_after=wire.retry_after_of(outcome),
            reason=wire.reason_of(outcome),
        )

    async def RelayMessage(
        self, request: pb.RelayMessageRequest, context: grpc.aio.ServicerContext
    ) -> pb.RelayMessageResponse:
        """Post a message of the company to the relay."""
        account, message = self._account(request.account_id), wire.relay_message_from_proto(request)
        relayed = await self._relayed(account, message)
        author, reason = "person" if message.is_person else "bot", wire.reason_of(relayed.outcome)
        outcome = wire.outcome_name(relayed.outcome)
        RELAYED.labels(author, outcome, reason or "none").inc()
        log.info(
            "relay.posted",
            account_id=account.id,
            delivery_id=message.delivery_id,
            author=author,
            outcome=outcome,
            reason=reason,
        )
        return pb.RelayMessageResponse(
            outcome=wire.outcome_of(relayed.outcome),
            relay_message_id=relayed.message_id,
            status=_RELAY_STATUS.get(relayed.status, pb.CHANNEL_STATUS_UNSPECIFIED),
            retry_after=wire.retry_after_of(relayed.outcome),
            reason=reason,
        )

    async def ShowTyping(
        self, request: pb.ShowTypingRequest, context: grpc.aio.ServicerContext
    ) -> pb.ShowTypingResponse:
        """Tell the relay that a reply is being written."""
        account = self._account(request.account_id)
        conversation_id = require_text("conversation_id", request.conversation_id, maximum=wire.ID_MAXIMUM)
        await self._relay.post(account, typing_body(conversation_id))
        return pb.ShowTypingResponse()

    async def _relayed(self, account: Account, message: relay_posts.RelayMessage) -> Relayed:
        now = self._now()
        if message.start_before is not None and now >= message.start_before:
            return Relayed(RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED))
        # A person's words stay as they are; the bot's may hold marks that would show.
        text = message.text if message.is_person else render(message.text, message.channel)
        answer = await self._relay.post(account, message_body(message, text, now))
        if answer is None:
            return Relayed(TellPerson(Reason.RELAY_NOT_CONFIGURED))
        relayed = of_relay(answer)
        if relayed.status in _RELAY_STATUS and isinstance(relayed.outcome, Sent):
            await self._tell(account, message, _STATUS[_RELAY_STATUS[relayed.status]])
        return relayed

    async def _tell(self, account: Account, message: relay_posts.RelayMessage, status: Status) -> None:
        # As well as possible: the client has the words, whether Kommo shows it or not.
        mirror = self._mirror(account)
        outcome: FinalOutcome = NO_CHANNEL
        if mirror is not None:
            try:
                outcome = await mirror.tell_status(message.kommo_message_ids, status, "")
            except KommoRateLimited as refused:
                outcome = RetryLater(refused.retry_after or 0.0, Reason.RATE_LIMITED)
        _note("status", account, message.delivery_id, outcome)

    def _account(self, account_id: str) -> Account:
        return self._accounts.get(require_text("account_id", account_id, maximum=wire.ID_MAXIMUM))

    def _mirror(self, account: Account) -> ChannelMirror | None:
        channel = account.channel
        if channel is None or not account.secret("channel_secret"):
            return None
        http = self._routes.hosts(account.id)(account.chats_base_url)
        chats = Chats(http, channel.scope_id, partial(account.secret, "channel_secret"), self._now)
        return ChannelMirror(chats, self._now)


def _note(what: str, account: Account, delivery_id: str, outcome: FinalOutcome) -> None:
    name, reason = wire.outcome_name(outcome), wire.reason_of(outcome)
    MIRRORS.labels(what, name, reason or "none").inc()
    log.info("mirror.handled", account_id=account.id, delivery_id=delivery_id, what=what, outcome=name, reason=reason)
