"""Deliveries as messages of the contract."""

from conversation_service.domain.alerts import AlertDetails
from conversation_service.domain.channel_message import ChannelMessage
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from conversation_service.domain.handoff import LeadChanges, TaskDetails
from conversation_service.servicers.channel_messages import channel_message_to_proto
from conversation_service.servicers.conversions import PRIORITY, proof_to_proto
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh_runtime.parsing import from_time

KIND = {
    DeliveryKind.REPLY: pb.DELIVERY_KIND_REPLY,
    DeliveryKind.NOTICE: pb.DELIVERY_KIND_NOTICE,
    DeliveryKind.NOTE: pb.DELIVERY_KIND_NOTE,
    DeliveryKind.TASK: pb.DELIVERY_KIND_TASK,
    DeliveryKind.LEAD_UPDATE: pb.DELIVERY_KIND_LEAD_UPDATE,
    DeliveryKind.REMINDER: pb.DELIVERY_KIND_REMINDER,
    DeliveryKind.COURTESY: pb.DELIVERY_KIND_COURTESY,
    DeliveryKind.ALERT: pb.DELIVERY_KIND_ALERT,
    DeliveryKind.PROOF: pb.DELIVERY_KIND_PROOF,
    DeliveryKind.RELAY: pb.DELIVERY_KIND_RELAY,
    DeliveryKind.MIRROR: pb.DELIVERY_KIND_MIRROR,
    DeliveryKind.VIEWING: pb.DELIVERY_KIND_VIEWING,
}
STATE = {
    DeliveryState.PENDING: pb.DELIVERY_STATE_PENDING,
    DeliveryState.SENT: pb.DELIVERY_STATE_SENT,
    DeliveryState.DROPPED: pb.DELIVERY_STATE_DROPPED,
    DeliveryState.DEAD: pb.DELIVERY_STATE_DEAD,
}


def delivery_to_proto(delivery: Delivery) -> pb.Delivery:
    """Return a delivery for the wire."""
    return pb.Delivery(
        id=str(delivery.id),
        account_id=delivery.account_id,
        conversation_id=str(delivery.conversation_id),
        turn_id=str(delivery.turn_id) if delivery.turn_id else "",
        kind=KIND[delivery.kind],
        state=STATE[delivery.state],
        text=delivery.text,
        floor_number=delivery.floor_number,
        attempt_count=delivery.attempt_count,
        transport=delivery.transport,
        kommo_message_ids=delivery.kommo_message_ids,
        reason=delivery.reason,
        create_time=from_time(delivery.created_at),
        finish_time=from_time(delivery.finished_at),
        proof=proof_to_proto(delivery.proof),
        is_forced=delivery.forced,
        task=_task(delivery.details) if isinstance(delivery.details, TaskDetails) else None,
        lead_changes=_lead_changes(delivery.details) if isinstance(delivery.details, LeadChanges) else None,
        alert=_alert(delivery.details) if isinstance(delivery.details, AlertDetails) else None,
        not_before_time=from_time(delivery.not_before_at),
        channel_message=(
            channel_message_to_proto(delivery.details) if isinstance(delivery.details, ChannelMessage) else None
        ),
    )


def _task(details: TaskDetails) -> pb.TaskDetails:
    return pb.TaskDetails(
        due_time=from_time(details.due_at),
        responsible_user_id=details.responsible_user_id or 0,
        priority=PRIORITY[details.priority],
    )


def _alert(details: AlertDetails) -> pb.AlertDetails:
    return pb.AlertDetails(
        kind=details.kind.value,
        reason=details.reason,
        priority=PRIORITY[details.priority],
        since_time=from_time(details.since_at),
        trace_url=details.trace_url,
    )


def _lead_changes(changes: LeadChanges) -> pb.LeadChanges:
    return pb.LeadChanges(
        responsible_user_id=changes.responsible_user_id or 0,
        pipeline_id=changes.pipeline_id or 0,
        status_id=changes.status_id or 0,
        tags=changes.tags,
    )
