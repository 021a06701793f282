"""TurnService on the wire."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import grpc

from conversation_service.domain.media import MOST_TYPE_CHARACTERS, Finding
from conversation_service.domain.turns import Answer, Decision, Escalate, NoAnswer, is_escalate_only
from conversation_service.servicers.conversions import conversation_to_proto, message_to_proto, priority_from_proto
from conversation_service.servicers.fields import (
    LONGEST_WAIT_SECONDS,
    MAX_WORKER_ID,
    bounded_seconds,
    bounded_text,
    enum_names,
    lease_count,
    required_text,
)
from conversation_service.servicers.leases import leased_to_proto, record_from_proto
from conversation_service.servicers.trace import RESULT
from conversation_service.use_cases.completion import Completion
from conversation_service.use_cases.turns import LeasedTurn, TurnUseCases
from kommomesh.conversation.v1 import turn_service_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2_grpc as pb_grpc
from kommomesh.intent.v1 import analysis_pb2
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import from_time, parse_uuid

MOST_PARTS = 20
MAX_PART = 4096
MAX_REASON = 1000
LONGEST_RETRY_SECONDS = 300.0
INTENT_NAMES = enum_names(analysis_pb2.Intent.items(), "INTENT_")
SENTIMENT_NAMES = enum_names(analysis_pb2.Sentiment.items(), "SENTIMENT_")


class TurnServicer(pb_grpc.TurnServiceServicer):
    """See turn_service.proto for the contract of each method.

    Args:
        use_cases: what the methods call.
        drain: set when the server is about to stop, so that long polls end.
    """

    def __init__(self, use_cases: TurnUseCases, drain: asyncio.Event | None = None) -> None:
        self._use_cases = use_cases
        self._drain = drain or asyncio.Event()

    async def LeaseTurns(
        self, request: pb.LeaseTurnsRequest, context: grpc.aio.ServicerContext
    ) -> pb.LeaseTurnsResponse:
        """Lease turns that are due."""
        turns = await self._use_cases.lease_turns(
            required_text("worker_id", request.worker_id, MAX_WORKER_ID),
            lease_count("max_turns", request.max_turns),
            bounded_seconds("wait_duration", request.wait_duration, LONGEST_WAIT_SECONDS),
            self._drain,
        )
        return pb.LeaseTurnsResponse(turns=[_leased_to_proto(turn) for turn in turns])

    async def ExtendTurn(
        self, request: pb.ExtendTurnRequest, context: grpc.aio.ServicerContext
    ) -> pb.ExtendTurnResponse:
        """Make the lease of a turn last longer."""
        until = await self._use_cases.extend_turn(parse_uuid("turn_id", request.turn_id))
        return pb.ExtendTurnResponse(lease_expire_time=from_time(until))

    async def CompleteTurn(
        self, request: pb.CompleteTurnRequest, context: grpc.aio.ServicerContext
    ) -> pb.CompleteTurnResponse:
        """End a turn."""
        completed = await self._use_cases.complete_turn(_completion(request))
        return pb.CompleteTurnResponse(
            result=RESULT[completed.result],
            deliveries=[leased_to_proto(leased) for leased in completed.deliveries],
        )

    async def AbandonTurn(
        self, request: pb.AbandonTurnRequest, context: grpc.aio.ServicerContext
    ) -> pb.AbandonTurnResponse:
        """Give a turn back without an outcome."""
        seconds = bounded_seconds("retry_after", request.retry_after, LONGEST_RETRY_SECONDS)
        await self._use_cases.abandon_turn(
            parse_uuid("turn_id", request.turn_id),
            bounded_text("reason", request.reason, MAX_REASON),
            timedelta(seconds=seconds),
        )
        return pb.AbandonTurnResponse()


def _leased_to_proto(leased: LeasedTurn) -> pb.LeasedTurn:
    turn = leased.turn
    return pb.LeasedTurn(
        turn_id=str(turn.id),
        conversation=conversation_to_proto(leased.conversation, len(leased.messages)),
        messages=[message_to_proto(message) for message in leased.messages],
        history=[message_to_proto(message) for message in leased.history],
        attempt=turn.attempt,
        escalate_only=is_escalate_only(turn.attempt),
        lease_expire_time=from_time(leased.lease_until),
        waiting_since_time=from_time(leased.waiting_since),
    )


def _completion(request: pb.CompleteTurnRequest) -> Completion:
    analysis = request.analysis if request.HasField("analysis") else None
    generation = request.generation if request.HasField("generation") else None
    classification = request.classification if request.HasField("classification") else None
    return Completion(
        turn_id=parse_uuid("turn_id", request.turn_id),
        read_message_ids=_read_ids(request),
        decision=_decision(request),
        record=record_from_proto(analysis, generation, request.steps, classification),
        analysis={} if analysis is None else _analysis_columns(analysis),
        worker_id=bounded_text("worker_id", request.worker_id, MAX_WORKER_ID),
        findings={parse_uuid("media.message_id", one.message_id): _finding(one) for one in request.media},
    )


def _finding(media: pb.MediaFinding) -> Finding:
    media_type = bounded_text("media.media_type", media.media_type, MOST_TYPE_CHARACTERS)
    return Finding(media_type, max(0, media.size_bytes))


def _read_ids(request: pb.CompleteTurnRequest) -> frozenset[UUID]:
    if not request.read_message_ids:
        raise InvalidArgument(field="read_message_ids", problem="is required")
    return frozenset(parse_uuid("read_message_ids", value) for value in request.read_message_ids)


def _decision(request: pb.CompleteTurnRequest) -> Decision:
    match request.WhichOneof("decision"):
        case "answer":
            return _answer(request.answer)
        case "escalate":
            return _escalate(request.escalate)
        case "no_answer":
            return NoAnswer(required_text("no_answer.reason_code", request.no_answer.reason_code, MAX_REASON))
        case _:
            raise InvalidArgument(field="decision", problem="is required")


def _answer(answer: pb.AnswerDecision) -> Answer:
    if not answer.parts:
        raise InvalidArgument(field="answer.parts", problem="is required")
    return Answer(
        _parts("answer.parts", answer.parts),
        bounded_text("answer.ai_model", answer.ai_model, MAX_REASON),
        max(0, answer.tokens_used),
        tuple(bounded_text("answer.products_referenced", sku, MAX_REASON) for sku in answer.products_referenced),
        tuple(parse_uuid("answer.shown_message_ids", one) for one in answer.shown_message_ids),
    )


def _escalate(escalate: pb.EscalateDecision) -> Escalate:
    return Escalate(
        required_text("escalate.reason_code", escalate.reason_code, MAX_REASON),
        bounded_text("escalate.reason", escalate.reason, MAX_REASON),
        priority_from_proto(escalate.priority),
        escalate.is_failure,
        _parts("escalate.notice_parts", escalate.notice_parts),
    )


def _parts(field: str, parts: Sequence[str]) -> tuple[str, ...]:
    if len(parts) > MOST_PARTS:
        raise InvalidArgument(field=field, problem=f"must be at most {MOST_PARTS}")
    return tuple(required_text(field, part, MAX_PART) for part in parts)


def _analysis_columns(analysis: analysis_pb2.Analysis) -> dict[str, object]:
    return {
        "intent": INTENT_NAMES.get(analysis.intent),
        "sentiment": SENTIMENT_NAMES.get(analysis.sentiment),
        "confidence_score": analysis.confidence,
    }
