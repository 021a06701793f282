"""Events of Kommo as `IngestMessages` takes them."""

from datetime import datetime

from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.parsing import from_time

ACCOUNT = "12345"


def client_item(
    message_id: str, *, chat: str = "chat-1", text: str = "Hola", account: str = ACCOUNT, at: datetime | None = None
) -> service_pb.IngestItem:
    """Return a message of the client."""
    return service_pb.IngestItem(
        account_id=account,
        chat_id=chat,
        contact_name="Cliente",
        origin="waba",
        channel=common_pb.CHANNEL_WHATSAPP,
        client_message=service_pb.ClientMessage(kommo_message_id=message_id, text=text, create_time=from_time(at)),
    )


def company_item(
    message_id: str,
    *,
    is_person: bool = True,
    chat: str = "chat-1",
    text: str = "Ya lo veo",
    at: datetime | None = None,
) -> service_pb.IngestItem:
    """Return a message of the company."""
    kind = service_pb.AUTHOR_KIND_PERSON if is_person else service_pb.AUTHOR_KIND_BOT
    return service_pb.IngestItem(
        account_id=ACCOUNT,
        chat_id=chat,
        company_message=service_pb.CompanyMessage(
            kommo_message_id=message_id, text=text, author_kind=kind, author_name="Vendedora", create_time=from_time(at)
        ),
    )


def talk_item(
    *, is_closed: bool = True, talk: str = "77", chat: str = "chat-1", at: datetime | None = None
) -> service_pb.IngestItem:
    """Return news of a talk."""
    kind = service_pb.TALK_EVENT_KIND_CLOSED if is_closed else service_pb.TALK_EVENT_KIND_OPEN
    return service_pb.IngestItem(
        account_id=ACCOUNT,
        chat_id=chat,
        talk_id=talk,
        talk_event=service_pb.TalkEvent(kind=kind, event_time=from_time(at)),
    )
