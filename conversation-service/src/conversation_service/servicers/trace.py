"""Traces as messages of the contract."""

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message as ProtoMessage

from conversation_service.domain.turns import TurnResult
from conversation_service.servicers.conversions import message_to_proto
from conversation_service.servicers.deliveries import delivery_to_proto
from conversation_service.servicers.leases import CLASSIFICATION_KEY
from conversation_service.use_cases.trace import Trace
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.intent.v1 import analysis_pb2
from kommomesh.llm.v1 import generation_pb2
from kommomesh_runtime.parsing import from_time

P = TypeVar("P", bound=ProtoMessage)

RESULT = {
    TurnResult.ANSWERED: pb.TURN_RESULT_ANSWERED,
    TurnResult.ESCALATED: pb.TURN_RESULT_ESCALATED,
    TurnResult.NOT_ANSWERED: pb.TURN_RESULT_NOT_ANSWERED,
    TurnResult.SUPERSEDED: pb.TURN_RESULT_SUPERSEDED,
    TurnResult.FLOOR_CHANGED: pb.TURN_RESULT_FLOOR_CHANGED,
    TurnResult.ABANDONED: pb.TURN_RESULT_ABANDONED,
}


def trace_to_proto(trace: Trace) -> pb.Trace:
    """Return a trace for the wire."""
    turn, record = trace.turn, trace.record
    return pb.Trace(
        turn_id=str(turn.id),
        account_id=turn.account_id,
        conversation_id=str(turn.conversation_id),
        result=RESULT[turn.result] if turn.result else pb.TURN_RESULT_UNSPECIFIED,
        messages=[message_to_proto(message) for message in trace.messages],
        analysis=_stored(record.analysis, analysis_pb2.Analysis()),
        generation=_stored(record.generation, generation_pb2.Generation()),
        steps=[ParseDict(dict(step), pb.TraceStep(), ignore_unknown_fields=True) for step in record.steps],
        deliveries=[delivery_to_proto(delivery) for delivery in trace.deliveries],
        reason_code=turn.reason_code,
        reason=turn.reason,
        lease_time=from_time(turn.leased_at),
        complete_time=from_time(turn.completed_at),
        worker_id=turn.worker_id,
        classification=_stored((record.analysis or {}).get(CLASSIFICATION_KEY), pb.ModelClassification()),
    )


def _stored(values: Mapping[str, Any] | None, empty: P) -> P | None:
    # What a later release stored may have fields that this one does not know; an empty message is one all the same.
    return None if values is None else ParseDict(dict(values), empty, ignore_unknown_fields=True)
