"""The servicers of ReplyService and KnowledgeService."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc

from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.intent.v1 import analysis_pb2 as intent_pb
from kommomesh.llm.v1 import (
    classification_pb2 as classification_pb,
)
from kommomesh.llm.v1 import (
    generation_pb2 as pb,
)
from kommomesh.llm.v1 import (
    knowledge_service_pb2 as knowledge_pb,
)
from kommomesh.llm.v1 import (
    knowledge_service_pb2_grpc as knowledge_grpc,
)
from kommomesh.llm.v1 import (
    reply_service_pb2 as reply_pb,
)
from kommomesh.llm.v1 import (
    reply_service_pb2_grpc as reply_grpc,
)
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import from_seconds, page_size, require_text
from llm_service.adapters.library import Library
from llm_service.classifying import MessageClassifier
from llm_service.domain.classification import INTENTS, Candidate, Label, UnsureMessage
from llm_service.domain.values import (
    Generation,
    Handover,
    Kind,
    Outcome,
    Question,
    Row,
    Said,
    Speaker,
    Urgency,
)
from llm_service.use_cases import ReplyWriter

REPLY_SERVICE = reply_pb.DESCRIPTOR.services_by_name["ReplyService"].full_name
KNOWLEDGE_SERVICE = knowledge_pb.DESCRIPTOR.services_by_name["KnowledgeService"].full_name
MOST_BURST = 100
MOST_HISTORY = 1000
DEFAULT_ROWS = 5
MOST_ROWS = 50
LONGEST_LOCALE = 35
DEFAULT_LOCALE = "es-AR"

_KIND = {
    pb.KNOWLEDGE_KIND_UNSPECIFIED: None,
    pb.KNOWLEDGE_KIND_PRODUCT: Kind.PRODUCT,
    pb.KNOWLEDGE_KIND_FAQ: Kind.FAQ,
}
_KIND_PB = {kind: value for value, kind in _KIND.items() if kind}
_SPEAKER: Mapping[int, Speaker] = {
    common_pb.ROLE_USER: Speaker.CLIENT,
    common_pb.ROLE_ASSISTANT: Speaker.BOT,
    common_pb.ROLE_AGENT: Speaker.PERSON,
    common_pb.ROLE_SYSTEM: Speaker.SYSTEM,
}
_PRIORITY = {
    Urgency.LOW: common_pb.PRIORITY_LOW,
    Urgency.MEDIUM: common_pb.PRIORITY_MEDIUM,
    Urgency.HIGH: common_pb.PRIORITY_HIGH,
    Urgency.CRITICAL: common_pb.PRIORITY_CRITICAL,
}


def _kind(value: int) -> Kind | None:
    if value not in _KIND:
        raise InvalidArgument(field="kind", problem="is not a known kind")
    return _KIND[value]  # type: ignore[index]


def _content_type(value: int) -> str:
    if value in (common_pb.CONTENT_TYPE_UNSPECIFIED, common_pb.CONTENT_TYPE_TEXT):
        return "text"
    known = value in common_pb.ContentType.values()
    return common_pb.ContentType.Name(value).removeprefix("CONTENT_TYPE_").lower() if known else "other"  # type: ignore[arg-type]


def _said(messages: Sequence[reply_pb.ChatMessage], default: Speaker) -> tuple[Said, ...]:
    return tuple(
        Said(_SPEAKER.get(message.role, default), message.text, _content_type(message.content_type))
        for message in messages
    )


def _intent(value: int) -> str:
    known = value in intent_pb.Intent.values() and value != intent_pb.INTENT_UNSPECIFIED
    return intent_pb.Intent.Name(value).removeprefix("INTENT_").lower() if known else ""  # type: ignore[arg-type]


def _channel(value: int) -> str:
    known = value in common_pb.Channel.values() and value != common_pb.CHANNEL_UNSPECIFIED
    return common_pb.Channel.Name(value).removeprefix("CHANNEL_").lower() if known else ""  # type: ignore[arg-type]


def _question(request: reply_pb.GenerateReplyRequest) -> Question:
    if not request.burst:
        raise InvalidArgument(field="burst", problem="is required")
    if len(request.burst) > MOST_BURST:
        raise InvalidArgument(field="burst", problem=f"must have at most {MOST_BURST} messages")
    if len(request.history) > MOST_HISTORY:
        raise InvalidArgument(field="history", problem=f"must have at most {MOST_HISTORY} messages")
    language = request.analysis.language
    return Question(
        burst=tuple(Said(Speaker.CLIENT, m.text, _content_type(m.content_type)) for m in request.burst),
        history=_said(request.history, Speaker.CLIENT),
        language="" if language == "und" else language,
        intent=_intent(request.analysis.intent),
        contact_name=request.contact_name,
        channel=_channel(request.channel),
        confidence=request.analysis.confidence,
    )


def _unsure(request: reply_pb.ClassifyMessageRequest) -> UnsureMessage:
    if len(request.history) > MOST_HISTORY:
        raise InvalidArgument(field="history", problem=f"must have at most {MOST_HISTORY} messages")
    if len(request.candidates) > len(INTENTS):
        raise InvalidArgument(field="candidates", problem=f"must be at most {len(INTENTS)}")
    named = ((_intent(one.intent), one.confidence) for one in request.candidates)
    return UnsureMessage(
        require_text("text", request.text),
        _said(request.history, Speaker.CLIENT),
        tuple(Candidate(intent, confidence) for intent, confidence in named if intent),
        require_text("locale", request.locale or DEFAULT_LOCALE, maximum=LONGEST_LOCALE),
    )


def _row_to_proto(row: Row) -> pb.KnowledgeRow:
    return pb.KnowledgeRow(
        kind=_KIND_PB[row.kind],
        id=row.id,
        title=row.title,
        text=row.text,
        price="" if row.price is None else str(row.price),
        currency=row.currency,
        stock=row.stock,
        url=row.url,
        score=row.score,
    )


def _generation_to_proto(generation: Generation) -> pb.Generation:
    usage = generation.usage
    return pb.Generation(
        model=generation.model,
        usage=pb.TokenUsage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
        ),
        finish_reason=generation.finish_reason,
        rows=[_row_to_proto(row) for row in generation.rows],
        guards=[pb.GuardVerdict(guard=v.guard, passed=v.passed, detail=v.detail) for v in generation.verdicts],
        prompt_json=generation.prompt_json,
        model_duration=from_seconds(generation.model_seconds),
        model_calls=generation.model_calls,
    )


def _person_to_proto(handover: Handover) -> reply_pb.PersonNeeded:
    return reply_pb.PersonNeeded(
        reason_code=handover.reason_code,
        reason=handover.reason,
        priority=_PRIORITY[handover.priority],
        is_failure=handover.is_failure,
    )


def _response(outcome: Outcome) -> reply_pb.GenerateReplyResponse:
    generation = _generation_to_proto(outcome.generation)
    if isinstance(outcome.result, Handover):
        return reply_pb.GenerateReplyResponse(person_needed=_person_to_proto(outcome.result), generation=generation)
    reply = reply_pb.Reply(text=outcome.result.text, parts=outcome.result.parts)
    return reply_pb.GenerateReplyResponse(reply=reply, generation=generation)


def _classification(label: Label, generation: Generation) -> reply_pb.ClassifyMessageResponse:
    classification = classification_pb.Classification(
        intent=intent_pb.Intent.Value(f"INTENT_{label.intent.upper()}"),
        confidence=label.confidence,
        needs_person=label.needs_person,
        generation=_generation_to_proto(generation),
    )
    return reply_pb.ClassifyMessageResponse(classification=classification)


class ReplyServicer(reply_grpc.ReplyServiceServicer):
    """See reply_service.proto for the contract of each method."""

    def __init__(self, writer: ReplyWriter, classifier: MessageClassifier) -> None:
        self._writer, self._classifier = writer, classifier

    async def GenerateReply(
        self, request: reply_pb.GenerateReplyRequest, context: grpc.aio.ServicerContext
    ) -> reply_pb.GenerateReplyResponse:
        """Write a reply or say why a person is needed."""
        account_id = require_text("account_id", request.account_id, maximum=64)
        return _response(await self._writer.generate_reply(account_id, _question(request)))

    async def ClassifyMessage(
        self, request: reply_pb.ClassifyMessageRequest, context: grpc.aio.ServicerContext
    ) -> reply_pb.ClassifyMessageResponse:
        """Ask a model what a burst wants."""
        account_id = require_text("account_id", request.account_id, maximum=64)
        return _classification(*await self._classifier.classify_message(account_id, _unsure(request)))


@dataclass(frozen=True)
class KnowledgeServicer(knowledge_grpc.KnowledgeServiceServicer):
    """See knowledge_service.proto for the contract of each method."""

    library: Library

    async def SearchKnowledge(
        self, request: knowledge_pb.SearchKnowledgeRequest, context: grpc.aio.ServicerContext
    ) -> knowledge_pb.SearchKnowledgeResponse:
        """Find rows of the business's data."""
        business = self.library.get(require_text("account_id", request.account_id, maximum=64))
        query = require_text("query", request.query)
        limit = page_size(request.page_size, default=DEFAULT_ROWS, maximum=MOST_ROWS)
        rows = business.knowledge.find(query, limit, _kind(request.kind))
        return knowledge_pb.SearchKnowledgeResponse(rows=[_row_to_proto(row) for row in rows])
