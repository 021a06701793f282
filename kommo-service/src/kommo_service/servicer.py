"""SendMessage and HandOff over gRPC: message in, one delivery, outcome out."""

from collections.abc import Callable
from datetime import datetime

import grpc

from kommo_service.account_checks import checked, find_account, order_of, to_proto
from kommo_service.adapters.alert_calls import AlertCaller
from kommo_service.adapters.media import MediaInspector
from kommo_service.adapters.metrics import HAND_OFFS, PASSED_OVER, SENDS
from kommo_service.adapters.routes import Routes
from kommo_service.alert_wire import address_findings, alerted
from kommo_service.domain.channel import Channel
from kommo_service.domain.hand_off import HandOff
from kommo_service.domain.message import Continuation, Message
from kommo_service.domain.outcomes import FinalOutcome, Reason, RetryLater, Sent, TellPerson, Unclear
from kommo_service.domain.route import Delivered
from kommo_service.hand_off_wire import hand_off_from_proto, outcome_to_proto
from kommo_service.media_wire import inspected
from kommo_service.proof_wire import proofs_of, talk_messages
from kommomesh.common.v1 import common_pb2
from kommomesh.kommo.v1 import account_check_pb2 as check_pb
from kommomesh.kommo.v1 import alert_pb2 as alert_pb
from kommomesh.kommo.v1 import delivery_proof_pb2 as proof_pb
from kommomesh.kommo.v1 import kommo_service_pb2 as service_pb
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as service_pb_grpc
from kommomesh.kommo.v1 import media_pb2 as media_pb
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.parsing import from_seconds, require_text, to_time

TEXT_MAXIMUM = 4096
ID_MAXIMUM = 256
IN_PROGRESS_SECONDS = 2.0
_CHANNELS = {
    common_pb2.CHANNEL_WHATSAPP: Channel.WHATSAPP,
    common_pb2.CHANNEL_INSTAGRAM: Channel.INSTAGRAM,
    common_pb2.CHANNEL_TELEGRAM: Channel.TELEGRAM,
    common_pb2.CHANNEL_FACEBOOK: Channel.FACEBOOK,
}
_OUTCOMES = {
    Sent: service_pb.SEND_OUTCOME_SENT,
    RetryLater: service_pb.SEND_OUTCOME_RETRY_LATER,
    Unclear: service_pb.SEND_OUTCOME_UNCLEAR,
    TellPerson: service_pb.SEND_OUTCOME_TELL_PERSON,
}

log = get_logger()


class KommoServicer(service_pb_grpc.KommoServiceServicer):
    """See kommo_service.proto for the contract of each method.

    Args:
        routes: the transports of each account.
        accounts: the accounts.
        now: returns the time.
        media: looks at files.
        alerts: calls the accounts' alert addresses.
    """

    def __init__(
        self,
        routes: Routes,
        accounts: Accounts,
        now: Callable[[], datetime],
        media: MediaInspector,
        alerts: AlertCaller,
    ) -> None:
        self._routes = routes
        self._accounts = accounts
        self._now = now
        self._media = media
        self._alerts = alerts
        self._in_progress: set[tuple[str, str]] = set()

    async def SendMessage(
        self, request: service_pb.SendMessageRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.SendMessageResponse:
        """Send one message."""
        message = _from_proto(request)
        route = self._routes.get(message.account_id)
        key = (message.account_id, message.delivery_id)
        if key in self._in_progress:
            # The attempt that holds it decides; to start another beside it could send twice.
            return _to_proto(Delivered(Unclear(IN_PROGRESS_SECONDS, Reason.IN_PROGRESS), ""))
        self._in_progress.add(key)
        try:
            delivered = await route.deliver(message)
        finally:
            self._in_progress.discard(key)
        _note(message, delivered)
        return _to_proto(delivered)

    async def HandOff(
        self, request: service_pb.HandOffRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.HandOffResponse:
        """Carry out one action of a hand-over."""
        hand_off = hand_off_from_proto(request)
        hand_offs = self._routes.hand_offs(hand_off.account_id)
        if isinstance(hand_offs, Reason):
            return _hand_off_noted(hand_off, outcome_to_proto(TellPerson(hand_offs)))
        key = (hand_off.account_id, hand_off.delivery_id)
        if key in self._in_progress:
            return outcome_to_proto(Unclear(IN_PROGRESS_SECONDS, Reason.IN_PROGRESS))
        self._in_progress.add(key)
        try:
            outcome = await hand_offs.carry_out(hand_off)
        finally:
            self._in_progress.discard(key)
        return _hand_off_noted(hand_off, outcome_to_proto(outcome))

    async def InspectMedia(
        self, request: media_pb.InspectMediaRequest, context: grpc.aio.ServicerContext
    ) -> media_pb.InspectMediaResponse:
        """Say of what type and size a file is."""
        return await inspected(self._media, self._accounts, request)

    async def SendAlert(
        self, request: alert_pb.SendAlertRequest, context: grpc.aio.ServicerContext
    ) -> alert_pb.SendAlertResponse:
        """Call the alert address of an account."""
        return await alerted(self._alerts, self._accounts, request)

    async def GetDeliveryProof(
        self, request: proof_pb.GetDeliveryProofRequest, context: grpc.aio.ServicerContext
    ) -> proof_pb.GetDeliveryProofResponse:
        """Say how far messages have come."""
        return await proofs_of(self._routes, request)

    async def ListTalkMessages(
        self, request: proof_pb.ListTalkMessagesRequest, context: grpc.aio.ServicerContext
    ) -> proof_pb.ListTalkMessagesResponse:
        """List the messages of a talk."""
        return await talk_messages(self._routes, self._accounts, request)

    async def CheckAccount(
        self, request: check_pb.CheckAccountRequest, context: grpc.aio.ServicerContext
    ) -> check_pb.CheckAccountResponse:
        """Look at one account and say what has to be repaired."""
        name = require_text("account", request.account, maximum=ID_MAXIMUM)
        account, order = find_account(self._accounts, name), order_of(request)
        found = await checked(self._accounts, account, self._routes.hosts(account.id), self._now, order)
        found += address_findings(self._alerts, account)
        return check_pb.CheckAccountResponse(account_id=account.id, findings=[to_proto(one) for one in found])


def _note(message: Message, delivered: Delivered) -> None:
    kind, reason = _kind(delivered.outcome), _reason(delivered.outcome)
    SENDS.labels(delivered.transport or "none", kind, reason or "none").inc()
    for passed in delivered.passed_over:
        PASSED_OVER.labels(passed.value).inc()
    log.info(
        "message.handled",
        account_id=message.account_id,
        delivery_id=message.delivery_id,
        transport=delivered.transport,
        outcome=kind,
        reason=reason,
        passed_over=[one.value for one in delivered.passed_over],
        is_repeat=message.unclear_since is not None,
    )


def _hand_off_noted(hand_off: HandOff, response: service_pb.HandOffResponse) -> service_pb.HandOffResponse:
    outcome = _outcome_name(response.outcome)
    HAND_OFFS.labels(hand_off.name, outcome, response.reason or "none").inc()
    log.info(
        "hand_off.handled",
        account_id=hand_off.account_id,
        delivery_id=hand_off.delivery_id,
        action=hand_off.name,
        outcome=outcome,
        reason=response.reason,
        is_repeat=hand_off.unclear_since is not None,
    )
    return response


def _kind(outcome: FinalOutcome) -> str:
    return _outcome_name(_OUTCOMES[type(outcome)])


def _outcome_name(number: "service_pb.SendOutcome.ValueType") -> str:
    name = service_pb.SendOutcome.Name(number)
    return name.removeprefix("SEND_OUTCOME_").lower()


def _reason(outcome: FinalOutcome) -> str:
    return "" if isinstance(outcome, Sent) else outcome.reason.value


def _from_proto(request: service_pb.SendMessageRequest) -> Message:
    return Message(
        delivery_id=require_text("delivery_id", request.delivery_id, maximum=ID_MAXIMUM),
        account_id=require_text("account_id", request.account_id, maximum=ID_MAXIMUM),
        chat_id=require_text("chat_id", request.chat_id, maximum=ID_MAXIMUM),
        text=require_text("text", request.text, maximum=TEXT_MAXIMUM),
        talk_id=request.talk_id,
        contact_id=request.contact_id,
        origin=request.origin,
        channel=_CHANNELS.get(request.channel, Channel.OTHER),
        contact_name=request.contact_name,
        start_before=to_time(request.start_before_time),
        unclear_since=to_time(request.unclear_since_time),
        claimed_ids=frozenset(request.claimed_kommo_message_ids),
        lead_id=request.lead_id,
        continuation=_continuation(request),
    )


def _continuation(request: service_pb.SendMessageRequest) -> Continuation | None:
    given = request.salesbot_continuation
    expires_at = to_time(given.expire_time) if given.HasField("expire_time") else None
    return Continuation(given.return_url, expires_at) if given.return_url and expires_at else None


def _to_proto(delivered: Delivered) -> service_pb.SendMessageResponse:
    outcome = delivered.outcome
    response = service_pb.SendMessageResponse(
        outcome=_OUTCOMES[type(outcome)],
        transport=delivered.transport,
        reason=_reason(outcome),
        is_quota_used_up=Reason.QUOTA_USED_UP in delivered.passed_over,
    )
    if isinstance(outcome, Sent):
        response.kommo_message_ids.extend(outcome.ids)
        response.found_by_reading_back = outcome.is_read_back
        response.talk_id = outcome.talk_id
    if isinstance(outcome, RetryLater | Unclear):
        response.retry_after.CopyFrom(from_seconds(outcome.after))
    return response
