"""The bodies that put a client's chat and messages into the own channel, and tell how far the company's got."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kommomesh:mirror")
# Source: Kommo Chats API, delivery status: 905 is any other error, whose text is then required.
OTHER_ERROR = 905
MAX_ERROR = 200


class Status(IntEnum):
    """How far a message got, as the Chats API numbers it."""

    FAILED = -1
    DELIVERED = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a conversation, by the relay's id of it; name and phone may be empty."""

    conversation_id: str
    name: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """A message of the client for Kommo.

    Args:
        chat_ref_id: Kommo's id of the chat; equal to the client's conversation where the company began it.
        media_type: in Kommo's words, such as `picture`; `text` where it has no file.
    """

    delivery_id: str
    account_id: str
    client: Client
    chat_ref_id: str
    text: str
    media_type: str = "text"
    media_url: str = ""
    file_name: str = ""
    file_size: int = 0
    written_at: datetime | None = None
    start_before: datetime | None = None

    @property
    def msgid(self) -> UUID:
        """Its id in Kommo's requests, the same on every attempt."""
        return uuid5(_NAMESPACE, f"{self.account_id}/{self.delivery_id}")


def chat_body(client: Client) -> Mapping[str, Any]:
    """Return the body that makes a chat, or finds it."""
    return {"conversation_id": client.conversation_id, "user": _person(client)}


def message_payload(message: ClientMessage, now: datetime) -> Mapping[str, Any]:
    """Return the payload of a client's message.

    Source: Kommo Chats API, sending messages: a client has no `ref_id`; a chat that the company began is named by its
    `conversation_ref_id`.
    """
    at = message.written_at or now
    is_begun_by_company = message.chat_ref_id == message.client.conversation_id
    name = "conversation_ref_id" if is_begun_by_company else "conversation_id"
    return {
        "timestamp": int(at.timestamp()),
        "msec_timestamp": int(at.timestamp() * 1000),
        "msgid": str(message.msgid),
        name: message.client.conversation_id,
        "sender": _person(message.client),
        "message": _content(message),
        "silent": False,
    }


def status_body(message_id: str, status: Status, error: str) -> Mapping[str, Any]:
    """Return the body of a delivery status, in the shape that is known to work."""
    found: dict[str, Any] = {"msgid": message_id, "delivery_status": int(status)}
    if status is Status.FAILED:
        found |= {"error_code": OTHER_ERROR, "error": error[:MAX_ERROR] or "not delivered"}
    return found


def _person(client: Client) -> Mapping[str, Any]:
    profile = {"profile": {"phone": client.phone}} if client.phone else {}
    return {"id": client.conversation_id, "name": client.name or client.phone or client.conversation_id, **profile}


def _content(message: ClientMessage) -> Mapping[str, Any]:
    if not message.media_url:
        return {"type": "text", "text": message.text}
    return {
        "type": message.media_type,
        "text": message.text,
        "media": message.media_url,
        "file_name": message.file_name,
        "file_size": message.file_size,
    }
