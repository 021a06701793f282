"""Deliveries as messages of the contract."""

from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh_runtime.parsing import from_time

KIND = {
    DeliveryKind.REPLY: pb.DELIVERY_KIND_REPLY,
    DeliveryKind.NOTICE: pb.DELIVERY_KIND_NOTICE,
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
    )
