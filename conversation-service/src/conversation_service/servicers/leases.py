"""Leased deliveries as messages of the contract, and what turns leave for their traces as JSON."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage

from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.turn_rows import TurnRecord
from conversation_service.domain.channel_message import ChannelMessage
from conversation_service.domain.deliveries import Delivery
from conversation_service.servicers.conversions import channel_to_proto
from conversation_service.servicers.deliveries import delivery_to_proto
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.intent.v1 import analysis_pb2
from kommomesh.llm.v1 import generation_pb2
from kommomesh_runtime.parsing import from_time

# Where the JSON of an analysis keeps what a model said beside it; a release that does not know the key skips it.
CLASSIFICATION_KEY = "model_classification"


def leased_to_proto(leased: Leased) -> outbox_pb.LeasedDelivery:
    """Return a leased delivery for the wire."""
    conversation = leased.conversation
    return outbox_pb.LeasedDelivery(
        delivery=delivery_to_proto(leased.delivery),
        lease_id=str(leased.lease_id),
        lease_expire_time=from_time(leased.lease_until),
        start_before_time=from_time(leased.start_before),
        # Of an account with a relay Kommo knows the chat by an id of its own.
        chat_id=conversation.chat_ref_id or conversation.chat_id,
        talk_id=conversation.talk_id,
        contact_id=conversation.contact_id,
        lead_id=conversation.lead_id,
        origin=conversation.origin,
        channel=channel_to_proto(conversation.channel),
        contact_name=conversation.contact_name,
        unclear_since_time=from_time(leased.unclear_since_at),
        claimed_kommo_message_ids=leased.claimed_ids,
        salesbot_continuation=_continuation(leased),
        awaited_messages=[_awaited(message) for message in leased.awaited],
        is_last_look=leased.is_last_look,
        channel_conversation_id=conversation.chat_id if _is_of_relay(leased) else "",
        chat_ref_id=conversation.chat_ref_id,
        contact_phone=conversation.phone,
    )


def _is_of_relay(leased: Leased) -> bool:
    return bool(leased.conversation.chat_ref_id) or isinstance(leased.delivery.details, ChannelMessage)


def _awaited(message: Delivery) -> outbox_pb.AwaitedMessage:
    return outbox_pb.AwaitedMessage(
        delivery_id=str(message.id),
        transport=message.transport,
        kommo_message_ids=message.kommo_message_ids,
        text=message.text,
        send_time=from_time(message.finished_at),
    )


def _continuation(leased: Leased) -> outbox_pb.SalesbotContinuation | None:
    waiting = leased.continuation
    if waiting is None:
        return None
    return outbox_pb.SalesbotContinuation(return_url=waiting.return_url, expire_time=from_time(waiting.expires_at))


def record_from_proto(
    analysis: analysis_pb2.Analysis | None,
    generation: generation_pb2.Generation | None,
    steps: Sequence[pb.TraceStep],
    classification: pb.ModelClassification | None = None,
) -> TurnRecord:
    """Return what a turn leaves for its trace; None stands for what the worker did not send."""
    return TurnRecord(
        None if analysis is None else _analysis(analysis, classification),
        None if generation is None else _stored(generation),
        tuple(_stored(step) for step in steps),
    )


def _analysis(analysis: analysis_pb2.Analysis, classification: pb.ModelClassification | None) -> dict[str, Any]:
    both = {} if classification is None else {CLASSIFICATION_KEY: _stored(classification)}
    return _stored(analysis) | both


def _stored(message: ProtoMessage) -> dict[str, Any]:
    stored: dict[str, Any] = _without_nul(MessageToDict(message, preserving_proto_field_name=True))
    return stored


def _without_nul(value: Any) -> Any:
    # PostgreSQL keeps no NUL in JSON.
    match value:
        case str():
            return value.replace("\x00", "")
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {key: _without_nul(item) for key, item in value.items()}
        case _:
            return value
