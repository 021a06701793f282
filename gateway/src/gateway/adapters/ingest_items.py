"""Turns events into items of IngestMessages."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.events import (
    AuthorKind,
    Channel,
    Chat,
    ClientMessage,
    CompanyMessage,
    Content,
    ContentType,
    Event,
    SalesbotWait,
)
from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb

CHANNELS = {
    Channel.WHATSAPP: common_pb2.CHANNEL_WHATSAPP,
    Channel.INSTAGRAM: common_pb2.CHANNEL_INSTAGRAM,
    Channel.TELEGRAM: common_pb2.CHANNEL_TELEGRAM,
    Channel.FACEBOOK: common_pb2.CHANNEL_FACEBOOK,
    Channel.OTHER: common_pb2.CHANNEL_OTHER,
}
CONTENT_TYPES = {
    ContentType.TEXT: common_pb2.CONTENT_TYPE_TEXT,
    ContentType.CONTACT: common_pb2.CONTENT_TYPE_CONTACT,
    ContentType.FILE: common_pb2.CONTENT_TYPE_FILE,
    ContentType.VIDEO: common_pb2.CONTENT_TYPE_VIDEO,
    ContentType.PICTURE: common_pb2.CONTENT_TYPE_PICTURE,
    ContentType.VOICE: common_pb2.CONTENT_TYPE_VOICE,
    ContentType.AUDIO: common_pb2.CONTENT_TYPE_AUDIO,
    ContentType.STICKER: common_pb2.CONTENT_TYPE_STICKER,
    ContentType.LOCATION: common_pb2.CONTENT_TYPE_LOCATION,
    ContentType.OTHER: common_pb2.CONTENT_TYPE_OTHER,
}
AUTHOR_KINDS = {
    AuthorKind.PERSON: service_pb.AUTHOR_KIND_PERSON,
    AuthorKind.BOT: service_pb.AUTHOR_KIND_BOT,
}


def _timestamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    found = Timestamp()
    found.FromDatetime(at)
    return found


def _client_message(content: Content) -> service_pb.ClientMessage:
    return service_pb.ClientMessage(
        kommo_message_id=content.message_id,
        text=content.text,
        content_type=CONTENT_TYPES[content.content_type],
        media_url=content.media_url,
        file_name=content.file_name,
        create_time=_timestamp(content.written_at),
    )


def _company_message(message: CompanyMessage) -> service_pb.CompanyMessage:
    content = message.content
    return service_pb.CompanyMessage(
        kommo_message_id=content.message_id,
        text=content.text,
        content_type=CONTENT_TYPES[content.content_type],
        media_url=content.media_url,
        author_kind=AUTHOR_KINDS[message.author_kind],
        author_id=message.author_id,
        author_name=message.author_name,
        file_name=content.file_name,
        create_time=_timestamp(content.written_at),
    )


def _item(account_id: str, chat: Chat) -> service_pb.IngestItem:
    return service_pb.IngestItem(
        account_id=account_id,
        chat_id=chat.chat_id,
        talk_id=chat.talk_id,
        contact_id=chat.contact_id,
        lead_id=chat.lead_id,
        contact_name=chat.contact_name,
        origin=chat.origin,
        channel=CHANNELS[chat.channel],
    )


def _waiting_bot(account_id: str, wait: SalesbotWait) -> service_pb.IngestItem:
    request = service_pb.SalesbotRequest(return_url=wait.return_url, expire_time=_timestamp(wait.ends_at))
    return service_pb.IngestItem(account_id=account_id, lead_id=wait.lead_id, salesbot_request=request)


def to_item(account_id: str, event: Event) -> service_pb.IngestItem:
    """Return the item that stores an event of an account."""
    if isinstance(event, SalesbotWait):
        return _waiting_bot(account_id, event)
    item = _item(account_id, event.chat)
    if isinstance(event, ClientMessage):
        item.client_message.CopyFrom(_client_message(event.content))
    elif isinstance(event, CompanyMessage):
        item.company_message.CopyFrom(_company_message(event))
    else:
        kind = service_pb.TALK_EVENT_KIND_CLOSED if event.is_closed else service_pb.TALK_EVENT_KIND_OPEN
        item.talk_event.CopyFrom(service_pb.TalkEvent(kind=kind, event_time=_timestamp(event.at)))
    return item
