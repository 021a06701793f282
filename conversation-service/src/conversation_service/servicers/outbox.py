"""OutboxService on the wire."""

import asyncio
from datetime import datetime
from uuid import UUID

import grpc

from conversation_service.domain.deliveries import Delivery, Failed, Looked, Opened, Report, Retry, Sent, Skipped
from conversation_service.domain.proof import Finding, ProofState, Sign
from conversation_service.servicers.channel_messages import RELAY_STATUS_OF
from conversation_service.servicers.conversions import PROOF_STATE
from conversation_service.servicers.deliveries import delivery_to_proto
from conversation_service.servicers.fields import (
    LONGEST_WAIT_SECONDS,
    MAX_WORKER_ID,
    bounded_seconds,
    bounded_text,
    lease_count,
    required_text,
)
from conversation_service.servicers.leases import leased_to_proto
from conversation_service.use_cases.outbox import OutboxUseCases
from kommomesh.conversation.v1 import outbox_service_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as pb_grpc
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import decode_page_token, encode_page_token, page_size, parse_uuid

MAX_ID = 255
MAX_REASON = 1000
MOST_KOMMO_IDS = 100
MOST_FINDINGS = 50
FINDING_STATE = {number: state for state, number in PROOF_STATE.items()}
LONGEST_RETRY_SECONDS = 86_400.0


class OutboxServicer(pb_grpc.OutboxServiceServicer):
    """See outbox_service.proto for the contract of each method.

    Args:
        use_cases: what the methods call.
        drain: set when the server is about to stop, so that long polls end.
    """

    def __init__(self, use_cases: OutboxUseCases, drain: asyncio.Event | None = None) -> None:
        self._use_cases = use_cases
        self._drain = drain or asyncio.Event()

    async def LeaseDeliveries(
        self, request: pb.LeaseDeliveriesRequest, context: grpc.aio.ServicerContext
    ) -> pb.LeaseDeliveriesResponse:
        """Lease deliveries that are due."""
        required_text("worker_id", request.worker_id, MAX_WORKER_ID)
        leased = await self._use_cases.lease_deliveries(
            lease_count("max_deliveries", request.max_deliveries),
            bounded_seconds("wait_duration", request.wait_duration, LONGEST_WAIT_SECONDS),
            self._drain,
        )
        return pb.LeaseDeliveriesResponse(deliveries=[leased_to_proto(one) for one in leased])

    async def ReportDelivery(
        self, request: pb.ReportDeliveryRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReportDeliveryResponse:
        """Tell what became of an attempt."""
        reported = await self._use_cases.report_delivery(
            parse_uuid("delivery_id", request.delivery_id),
            parse_uuid("lease_id", request.lease_id),
            _report(request),
            bounded_text("worker_id", request.worker_id, MAX_WORKER_ID),
        )
        return pb.ReportDeliveryResponse(
            delivery=delivery_to_proto(reported.delivery),
            next=leased_to_proto(reported.next) if reported.next else None,
        )

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListDeadLettersResponse:
        """List deliveries that could not be sent."""
        size = page_size(request.page_size)
        found = await self._use_cases.list_dead_letters(
            required_text("account_id", request.account_id, MAX_ID), _place(request.page_token), size + 1
        )
        token = _token(found[size - 1]) if len(found) > size else ""
        return pb.ListDeadLettersResponse(
            deliveries=[delivery_to_proto(delivery) for delivery in found[:size]], next_page_token=token
        )

    async def GetMonthlyUsage(
        self, request: pb.GetMonthlyUsageRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetMonthlyUsageResponse:
        """Return what an account has sent this month."""
        account_id = required_text("account_id", request.account_id, MAX_ID)
        usage, quota = await self._use_cases.monthly_usage(account_id)
        shown = pb.MonthlyUsage(
            account_id=account_id,
            month=usage.month,
            message_count=usage.messages,
            message_quota=quota,
            alarmed_percent=usage.alarmed_percent,
        )
        return pb.GetMonthlyUsageResponse(usage=shown)

    async def ReplayDelivery(
        self, request: pb.ReplayDeliveryRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReplayDeliveryResponse:
        """Send a dead letter again."""
        replayed = await self._use_cases.replay_delivery(
            parse_uuid("delivery_id", request.delivery_id),
            parse_uuid("request_id", request.request_id),
            force=request.force,
        )
        return pb.ReplayDeliveryResponse(delivery=delivery_to_proto(replayed))


def _report(request: pb.ReportDeliveryRequest) -> Report:
    match request.WhichOneof("report"):
        case "sent":
            return _sent(request.sent)
        case "retry":
            retry = request.retry
            seconds = bounded_seconds("retry.retry_after", retry.retry_after, LONGEST_RETRY_SECONDS)
            return Retry(required_text("retry.reason", retry.reason, MAX_REASON), seconds, retry.is_unclear)
        case "failed":
            return Failed(required_text("failed.reason", request.failed.reason, MAX_REASON))
        case "skipped":
            return Skipped(required_text("skipped.reason", request.skipped.reason, MAX_REASON))
        case "looked":
            return Looked(_findings(request.looked))
        case "opened":
            return Opened(required_text("opened.chat_ref_id", request.opened.chat_ref_id, MAX_ID))
        case _:
            raise InvalidArgument(field="report", problem="is required")


def _sent(sent: pb.SentReport) -> Sent:
    if len(sent.kommo_message_ids) > MOST_KOMMO_IDS:
        raise InvalidArgument(field="sent.kommo_message_ids", problem=f"must be at most {MOST_KOMMO_IDS}")
    ids = tuple(required_text("sent.kommo_message_ids", value, MAX_ID) for value in sent.kommo_message_ids)
    transport = required_text("sent.transport", sent.transport, MAX_ID)
    talk_id = bounded_text("sent.talk_id", sent.talk_id, MAX_ID)
    relay_status = RELAY_STATUS_OF.get(sent.relay_status)
    return Sent(transport, ids, talk_id, relay_status, is_quota_used_up=sent.is_quota_used_up)


def _findings(looked: pb.LookedReport) -> tuple[Finding, ...]:
    if len(looked.findings) > MOST_FINDINGS:
        raise InvalidArgument(field="looked.findings", problem=f"must be at most {MOST_FINDINGS}")
    return tuple(_finding(one) for one in looked.findings)


def _finding(found: pb.ProofFinding) -> Finding:
    field = "looked.findings"
    ids = tuple(required_text(f"{field}.kommo_message_ids", one, MAX_ID) for one in found.kommo_message_ids)
    delivery_id = parse_uuid(f"{field}.delivery_id", found.delivery_id)
    state = FINDING_STATE.get(found.state)
    if state is None:
        return Finding(delivery_id, None, ids)
    reason = bounded_text(f"{field}.reason", found.reason, MAX_REASON)
    if state is ProofState.FAILED:
        required_text(f"{field}.reason", found.reason, MAX_REASON)
    return Finding(delivery_id, Sign(state, required_text(f"{field}.source", found.source, MAX_ID), reason), ids)


def _token(delivery: Delivery) -> str:
    at = delivery.finished_at or delivery.created_at
    return encode_page_token(at.isoformat(), str(delivery.id))


def _place(token: str) -> tuple[datetime, UUID] | None:
    parts = decode_page_token(token, 2)
    if parts is None:
        return None
    try:
        at, delivery_id = datetime.fromisoformat(parts[0]), UUID(parts[1])
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidArgument(field="page_token", problem="must be a next_page_token of the same list")
    return at, delivery_id
