"""Events of the contract as items to store, and what became of them."""

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from conversation_service.domain.channel_message import RelayRequest
from conversation_service.domain.cleaning import ItemRejected
from conversation_service.domain.continuations import Continuation
from conversation_service.domain.ingest import (
    ClientMessage,
    CompanyMessage,
    Content,
    IngestOutcome,
    IngestResult,
    Item,
    MirroredCopy,
    TalkEvent,
)
from conversation_service.domain.relaying import StatusReport
from conversation_service.servicers.channel_messages import RELAY_STATUS_OF
from conversation_service.servicers.conversions import CHANNEL_NAMES, CONTENT_TYPE_NAMES
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb

LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())

OUTCOME = {
    IngestOutcome.STORED: service_pb.INGEST_OUTCOME_STORED,
    IngestOutcome.DUPLICATE: service_pb.INGEST_OUTCOME_DUPLICATE,
    IngestOutcome.REJECTED: service_pb.INGEST_OUTCOME_REJECTED,
    IngestOutcome.ACCOUNT_UNKNOWN: service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN,
    IngestOutcome.REPLAYED: service_pb.INGEST_OUTCOME_REPLAYED,
    IngestOutcome.MIRRORED: service_pb.INGEST_OUTCOME_MIRRORED,
}


def item_from_proto(item: service_pb.IngestItem) -> Item | Continuation | StatusReport:
    """Return the item of an event; a Salesbot's request and a relay's word of a message belong to no chat.

    Raises:
        ItemRejected: it does not say what happened.
    """
    if item.WhichOneof("event") == "salesbot_request":
        return _continuation(item)
    if item.WhichOneof("event") == "message_status":
        return _status_report(item)
    event, at = _event(item)
    return Item(
        account_id=item.account_id,
        chat_id=item.chat_id,
        talk_id=item.talk_id,
        contact_id=item.contact_id,
        lead_id=item.lead_id,
        contact_name=item.contact_name,
        origin=item.origin,
        channel=CHANNEL_NAMES.get(item.channel, ""),
        event=event,
        at=_time(at),
        phone=item.contact_phone,
        chat_ref_id=item.chat_ref_id,
        request=_relay_request(item),
    )


def _relay_request(item: service_pb.IngestItem) -> RelayRequest | None:
    if not item.HasField("relay_request"):
        return None
    return RelayRequest(
        _uuid("request_id", item.relay_request.request_id), _uuid("arrival_id", item.relay_request.arrival_id)
    )


def _status_report(item: service_pb.IngestItem) -> StatusReport:
    found = item.message_status
    status = RELAY_STATUS_OF.get(found.status)
    if status is None:
        raise ItemRejected("status: is required")
    delivery_id = _uuid("delivery_id", found.delivery_id)
    return StatusReport(item.account_id, delivery_id, status, found.error, _relay_request(item))


def _uuid(field: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ItemRejected(f"{field}: must be a UUID") from None


def _continuation(item: service_pb.IngestItem) -> Continuation:
    expires_at = _time(item.salesbot_request.expire_time)
    if expires_at is None:
        raise ItemRejected("expire_time: is required")
    return Continuation(item.account_id, item.lead_id, item.salesbot_request.return_url, expires_at)


def result_to_proto(result: IngestResult) -> service_pb.IngestResult:
    """Return a result for the wire."""
    return service_pb.IngestResult(
        outcome=OUTCOME[result.outcome],
        conversation_id=str(result.conversation_id) if result.conversation_id else "",
        error=result.error,
    )


def _event(
    item: service_pb.IngestItem,
) -> tuple[ClientMessage | CompanyMessage | TalkEvent | MirroredCopy, Timestamp]:
    match item.WhichOneof("event"):
        case "client_message" if item.client_message.is_mirrored_copy:
            return MirroredCopy(), item.client_message.create_time
        case "client_message":
            message = item.client_message
            return ClientMessage(_content(message), message.is_from_relay), message.create_time
        case "company_message":
            return _company_message(item.company_message), item.company_message.create_time
        case "talk_event":
            return _talk_event(item.talk_event), item.talk_event.event_time
        case _:
            raise ItemRejected("event: is required")


def _content(message: service_pb.ClientMessage | service_pb.CompanyMessage) -> Content:
    return Content(
        kommo_message_id=message.kommo_message_id,
        text=message.text,
        content_type=_content_type(message.content_type),
        media_url=message.media_url,
        file_name=message.file_name,
        file_size=max(0, message.file_size) if isinstance(message, service_pb.ClientMessage) else 0,
    )


def _content_type(number: int) -> str:
    # A type of a later release is something, but no text.
    return CONTENT_TYPE_NAMES.get(number, "other") if number else "text"


def _company_message(message: service_pb.CompanyMessage) -> CompanyMessage:
    if message.author_kind not in (service_pb.AUTHOR_KIND_PERSON, service_pb.AUTHOR_KIND_BOT):
        raise ItemRejected("author_kind: is required")
    is_person = message.author_kind == service_pb.AUTHOR_KIND_PERSON
    return CompanyMessage(
        _content(message), is_person, message.author_id, message.author_name, is_for_relay=message.is_for_relay
    )


def _talk_event(event: service_pb.TalkEvent) -> TalkEvent:
    if event.kind not in (service_pb.TALK_EVENT_KIND_OPEN, service_pb.TALK_EVENT_KIND_CLOSED):
        raise ItemRejected("kind: is required")
    return TalkEvent(event.kind == service_pb.TALK_EVENT_KIND_CLOSED)


def _time(timestamp: Timestamp) -> datetime | None:
    # A time that cannot be is as good as none: the message itself is worth keeping.
    if not 0 < timestamp.seconds < LAST_SECOND or not 0 <= timestamp.nanos < 1_000_000_000:
        return None
    return timestamp.ToDatetime(tzinfo=UTC)
