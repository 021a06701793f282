"""Events of the contract as items to store, and what became of them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from conversation_service.domain.cleaning import ItemRejected
from conversation_service.domain.ingest import (
    ClientMessage,
    CompanyMessage,
    Content,
    IngestOutcome,
    IngestResult,
    Item,
    TalkEvent,
)
from conversation_service.servicers.conversions import CHANNEL_NAMES, CONTENT_TYPE_NAMES
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb

LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())

OUTCOME = {
    IngestOutcome.STORED: service_pb.INGEST_OUTCOME_STORED,
    IngestOutcome.DUPLICATE: service_pb.INGEST_OUTCOME_DUPLICATE,
    IngestOutcome.REJECTED: service_pb.INGEST_OUTCOME_REJECTED,
    IngestOutcome.ACCOUNT_UNKNOWN: service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN,
}


def item_from_proto(item: service_pb.IngestItem) -> Item:
    """Return the item of an event.

    Raises:
        ItemRejected: it does not say what happened.
    """
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
    )


def result_to_proto(result: IngestResult) -> service_pb.IngestResult:
    """Return a result for the wire."""
    return service_pb.IngestResult(
        outcome=OUTCOME[result.outcome],
        conversation_id=str(result.conversation_id) if result.conversation_id else "",
        error=result.error,
    )


def _event(item: service_pb.IngestItem) -> tuple[ClientMessage | CompanyMessage | TalkEvent, Timestamp]:
    match item.WhichOneof("event"):
        case "client_message":
            return ClientMessage(_content(item.client_message)), item.client_message.create_time
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
        file_name=message.file_name if isinstance(message, service_pb.ClientMessage) else "",
    )


def _content_type(number: int) -> str:
    # A type of a later release is something, but no text.
    return CONTENT_TYPE_NAMES.get(number, "other") if number else "text"


def _company_message(message: service_pb.CompanyMessage) -> CompanyMessage:
    if message.author_kind not in (service_pb.AUTHOR_KIND_PERSON, service_pb.AUTHOR_KIND_BOT):
        raise ItemRejected("author_kind: is required")
    is_person = message.author_kind == service_pb.AUTHOR_KIND_PERSON
    return CompanyMessage(_content(message), is_person, message.author_id, message.author_name)


def _talk_event(event: service_pb.TalkEvent) -> TalkEvent:
    if event.kind not in (service_pb.TALK_EVENT_KIND_OPEN, service_pb.TALK_EVENT_KIND_CLOSED):
        raise ItemRejected("kind: is required")
    return TalkEvent(event.kind == service_pb.TALK_EVENT_KIND_CLOSED)


def _time(timestamp: Timestamp) -> datetime | None:
    # A time that cannot be is as good as none: the message itself is worth keeping.
    if not 0 < timestamp.seconds < LAST_SECOND or not 0 <= timestamp.nanos < 1_000_000_000:
        return None
    return timestamp.ToDatetime(tzinfo=UTC)
