"""Serves kommomesh.intent.v1: request in, one call of the domain, response out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import grpc

from intent_service.adapters.profiles import Profiles
from intent_service.domain.analysis import Analysis, Escalation, Intent, Priority, Reason, Role, Sentiment, Utterance
from intent_service.domain.analyzer import DEFAULT_LOCALE, Analyzer, Request, check_text
from intent_service.streaming import in_groups, typed_errors
from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.intent.v1 import (
    analysis_pb2 as pb,
)
from kommomesh.intent.v1 import (
    intent_service_pb2 as service_pb,
)
from kommomesh.intent.v1 import (
    intent_service_pb2_grpc as pb_grpc,
)
from kommomesh_runtime.errors import InvalidArgument, MeshError

SERVICE = "kommomesh.intent.v1.IntentService"
MAXIMUM_REQUESTS = 1000
MAXIMUM_UTTERANCES = 200
# Messages of a stream that are analysed together, when that many wait.
STREAM_GROUP = 64

_INTENT = {intent: pb.Intent.Value(f"INTENT_{intent.name}") for intent in Intent}
_SENTIMENT = {sentiment: pb.Sentiment.Value(f"SENTIMENT_{sentiment.name}") for sentiment in Sentiment}
_REASON = {reason: pb.EscalationReason.Value(f"ESCALATION_REASON_{reason.name}") for reason in Reason}
_PRIORITY = {priority: common_pb.Priority.Value(f"PRIORITY_{priority.name}") for priority in Priority}
_ROLE = {common_pb.Role.Value(f"ROLE_{role.name}"): role for role in Role}


class IntentServicer(pb_grpc.IntentServiceServicer):
    """See intent_service.proto for the contract of each method.

    Args:
        analyzer: the domain.
        profiles: what the businesses add.
        borders: what each intent is and is not, by its name.
    """

    def __init__(self, analyzer: Analyzer, profiles: Profiles, borders: Mapping[str, str]) -> None:
        self._analyzer = analyzer
        self._profiles = profiles
        self._borders = borders

    async def AnalyzeMessage(
        self, request: service_pb.AnalyzeMessageRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.AnalyzeMessageResponse:
        """Analyse one message."""
        analysis = self._analyzer.analyze_many([self._request(request)])[0]
        return service_pb.AnalyzeMessageResponse(analysis=_to_proto(analysis))

    async def BatchAnalyzeMessages(
        self, request: service_pb.BatchAnalyzeMessagesRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.BatchAnalyzeMessagesResponse:
        """Analyse many messages, each by itself."""
        if not 1 <= len(request.requests) <= MAXIMUM_REQUESTS:
            raise InvalidArgument(field="requests", problem=f"must have 1 to {MAXIMUM_REQUESTS} entries")
        return service_pb.BatchAnalyzeMessagesResponse(results=await self._results(request.requests))

    async def StreamAnalyzeMessages(
        self,
        request_iterator: AsyncIterator[service_pb.StreamAnalyzeMessagesRequest],
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[service_pb.StreamAnalyzeMessagesResponse]:
        """Analyse messages as they come, those that wait together."""
        async with typed_errors(context, "StreamAnalyzeMessages"):
            async for group in in_groups(request_iterator, STREAM_GROUP):
                results = await self._results([one.request for one in group])
                for one, result in zip(group, results, strict=True):
                    yield service_pb.StreamAnalyzeMessagesResponse(message_id=one.message_id, result=result)

    async def ListIntents(
        self, request: service_pb.ListIntentsRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ListIntentsResponse:
        """List the intents with their borders."""
        profile = self._profiles.get(request.account_id)
        phrases = [intent for intent, _ in profile.rules.phrases] if profile else []
        thresholds = profile.rules.thresholds if profile else {}
        infos = [
            service_pb.IntentInfo(
                intent=_INTENT[intent],
                name=intent.value,
                description=self._borders[intent.value],
                threshold=thresholds.get(intent, 0.0),
                profile_phrase_count=phrases.count(intent),
            )
            for intent in Intent
        ]
        return service_pb.ListIntentsResponse(intents=infos)

    async def _results(self, requests: Sequence[service_pb.AnalyzeMessageRequest]) -> list[service_pb.BatchResult]:
        """Return one result for each request, in their order; a bad one has an error text."""
        decoded = [self._request_or_error(one) for one in requests]
        good = [one for one in decoded if isinstance(one, Request)]
        analyses = iter(await asyncio.to_thread(self._analyzer.analyze_many, good))
        return [
            service_pb.BatchResult(error=one)
            if isinstance(one, str)
            else service_pb.BatchResult(analysis=_to_proto(next(analyses)))
            for one in decoded
        ]

    def _request(self, request: service_pb.AnalyzeMessageRequest) -> Request:
        check_text(request.text)
        if len(request.history) > MAXIMUM_UTTERANCES:
            raise InvalidArgument(field="history", problem=f"must have at most {MAXIMUM_UTTERANCES} entries")
        history = [Utterance(_ROLE[said.role], said.text) for said in request.history if said.role in _ROLE]
        profile = self._profiles.get(request.account_id)
        return Request(request.text, history, request.locale or DEFAULT_LOCALE, profile)

    def _request_or_error(self, request: service_pb.AnalyzeMessageRequest) -> Request | str:
        try:
            return self._request(request)
        except MeshError as error:
            return str(error)


def _to_proto(analysis: Analysis) -> pb.Analysis:
    return pb.Analysis(
        intent=_INTENT[analysis.intent],
        confidence=analysis.confidence,
        runners_up=[
            pb.ScoredIntent(intent=_INTENT[intent], confidence=confidence) for intent, confidence in analysis.runners_up
        ],
        language=analysis.language,
        sentiment=_SENTIMENT[analysis.sentiment],
        escalation=_escalation_to_proto(analysis.escalation),
        matched=analysis.matched,
    )


def _escalation_to_proto(escalation: Escalation) -> pb.Escalation:
    return pb.Escalation(
        should_escalate=escalation.should_escalate,
        reason_code=_REASON[escalation.reason_code] if escalation.reason_code else pb.ESCALATION_REASON_UNSPECIFIED,
        reason=escalation.reason,
        priority=_PRIORITY[escalation.priority] if escalation.priority else common_pb.PRIORITY_UNSPECIFIED,
        matched=escalation.matched,
    )
