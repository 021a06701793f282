"""ConversationService on the wire."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import grpc

from conversation_service.domain.cleaning import ItemRejected
from conversation_service.domain.continuations import Continuation
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.ingest import IngestOutcome, IngestResult, Item
from conversation_service.domain.relaying import StatusReport
from conversation_service.servicers.conversions import (
    STATUS_OF,
    conversation_to_proto,
    message_to_proto,
    priority_from_proto,
)
from conversation_service.servicers.items import item_from_proto, result_to_proto
from conversation_service.servicers.trace import trace_to_proto
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.queries import Counted, Place, QueryUseCases
from conversation_service.use_cases.trace import TraceUseCases
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as pb_grpc
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import decode_page_token, encode_page_token, page_size, parse_uuid, require_text

MOST_ITEMS = 1000
MAX_ID = 255
MAX_REASON = 1000


@dataclass(frozen=True, slots=True)
class ConversationUseCases:
    """What ConversationService can do."""

    ingest: IngestUseCases
    floor: FloorUseCases
    queries: QueryUseCases
    traces: TraceUseCases


class ConversationServicer(pb_grpc.ConversationServiceServicer):
    """See conversation_service.proto for the contract of each method."""

    def __init__(self, use_cases: ConversationUseCases) -> None:
        self._use_cases = use_cases

    async def IngestMessages(
        self, request: service_pb.IngestMessagesRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.IngestMessagesResponse:
        """Store events of Kommo."""
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument(field="items", problem=f"must be 1 to {MOST_ITEMS}")
        decoded = [_decoded(item) for item in request.items]
        items = [item for item in decoded if not isinstance(item, IngestResult)]
        stored = iter(await self._use_cases.ingest.ingest(items) if items else [])
        results = [item if isinstance(item, IngestResult) else next(stored) for item in decoded]
        return service_pb.IngestMessagesResponse(results=[result_to_proto(result) for result in results])

    async def GetConversation(
        self, request: service_pb.GetConversationRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.GetConversationResponse:
        """Read one conversation."""
        if request.conversation_id:
            conversation_id = parse_uuid("conversation_id", request.conversation_id)
            found = await self._use_cases.queries.get_conversation(conversation_id)
        else:
            found = await self._use_cases.queries.get_by_chat(
                require_text("account_id", request.account_id, maximum=MAX_ID),
                require_text("chat_id", request.chat_id, maximum=MAX_ID),
            )
        return service_pb.GetConversationResponse(conversation=_counted(found))

    async def ListConversations(
        self, request: service_pb.ListConversationsRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ListConversationsResponse:
        """List the conversations of an account."""
        page = await self._use_cases.queries.list_conversations(
            require_text("account_id", request.account_id, maximum=MAX_ID),
            STATUS_OF.get(request.status),
            page_size(request.page_size),
            _place(request.page_token),
        )
        return service_pb.ListConversationsResponse(
            conversations=[_counted(row) for row in page.rows], next_page_token=_token(page.after)
        )

    async def ListMessages(
        self, request: service_pb.ListMessagesRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ListMessagesResponse:
        """List the messages of a conversation."""
        page = await self._use_cases.queries.list_messages(
            parse_uuid("conversation_id", request.conversation_id),
            page_size(request.page_size),
            _place(request.page_token),
        )
        return service_pb.ListMessagesResponse(
            messages=[message_to_proto(row) for row in page.rows], next_page_token=_token(page.after)
        )

    async def TakeOver(
        self, request: service_pb.TakeOverRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.TakeOverResponse:
        """Give the floor to a person."""
        changed = await self._use_cases.floor.take_over(*_names(request), _short("person", request.person, MAX_ID))
        return service_pb.TakeOverResponse(conversation=await self._changed(changed))

    async def ReleaseToBot(
        self, request: service_pb.ReleaseToBotRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ReleaseToBotResponse:
        """Give the floor back to the bot."""
        changed = await self._use_cases.floor.release_to_bot(*_names(request))
        return service_pb.ReleaseToBotResponse(conversation=await self._changed(changed))

    async def EscalateConversation(
        self, request: service_pb.EscalateConversationRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.EscalateConversationResponse:
        """Call a person."""
        changed = await self._use_cases.floor.escalate(
            *_names(request), _short("reason", request.reason, MAX_REASON), priority_from_proto(request.priority)
        )
        return service_pb.EscalateConversationResponse(conversation=await self._changed(changed))

    async def ResolveConversation(
        self, request: service_pb.ResolveConversationRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.ResolveConversationResponse:
        """End the episode."""
        changed = await self._use_cases.floor.resolve(*_names(request))
        return service_pb.ResolveConversationResponse(conversation=await self._changed(changed))

    async def GetTrace(
        self, request: service_pb.GetTraceRequest, context: grpc.aio.ServicerContext
    ) -> service_pb.GetTraceResponse:
        """Tell why the bot said what it said."""
        name = request.WhichOneof("name")
        if name is None:
            raise InvalidArgument(field="name", problem="is required")
        found = await self._use_cases.traces.get_trace(**{name: parse_uuid(name, getattr(request, name))})
        return service_pb.GetTraceResponse(trace=trace_to_proto(found))

    async def _changed(self, conversation: Conversation) -> pb.Conversation:
        return _counted(await self._use_cases.queries.count(conversation))


_FloorRequest = (
    service_pb.TakeOverRequest
    | service_pb.ReleaseToBotRequest
    | service_pb.EscalateConversationRequest
    | service_pb.ResolveConversationRequest
)


def _names(request: _FloorRequest) -> tuple[UUID, UUID]:
    return parse_uuid("conversation_id", request.conversation_id), parse_uuid("request_id", request.request_id)


def _decoded(item: service_pb.IngestItem) -> Item | Continuation | StatusReport | IngestResult:
    try:
        return item_from_proto(item)
    except ItemRejected as problem:
        return IngestResult(IngestOutcome.REJECTED, error=str(problem))


def _counted(found: Counted) -> pb.Conversation:
    return conversation_to_proto(found.conversation, found.unread_count, found.reminder_at)


def _short(field: str, value: str, maximum: int) -> str:
    if len(value) > maximum:
        raise InvalidArgument(field=field, problem=f"must have at most {maximum} characters")
    return value.replace("\x00", "")


def _token(place: Place | None) -> str:
    return encode_page_token(place[0].isoformat(), str(place[1])) if place else ""


def _place(token: str) -> Place | None:
    parts = decode_page_token(token, 2)
    if parts is None:
        return None
    try:
        place = datetime.fromisoformat(parts[0]), UUID(parts[1])
    except ValueError:
        raise InvalidArgument(field="page_token", problem="must be a next_page_token of the same list") from None
    if place[0].tzinfo is None:
        raise InvalidArgument(field="page_token", problem="must be a next_page_token of the same list")
    return place
