"""The bodies of Chats webhooks, version 2: messages with their files and buttons, typing, reactions."""

from typing import Any

from kommo_simulator.model import Chat, Contact, Message
from kommo_simulator.settings import SimulatorSettings

TYPING_SECONDS = 5


def message_hook(
    settings: SimulatorSettings, chat: Chat, contact: Contact, message: Message, now: int
) -> dict[str, Any]:
    """Return the body of a company's message in a chat of the own channel."""
    receiver = {"id": chat.client_id, "phone": contact.phone, "email": contact.email}
    if chat.client_external_id:
        receiver["client_id"] = chat.client_external_id
    source = {"source": {"external_id": chat.source_external_id}} if chat.source_external_id else {}
    return {
        "account_id": settings.amojo_id,
        "time": now,
        "message": {
            "receiver": receiver,
            "sender": {"id": message.author.id, "name": message.author.name},
            "conversation": _conversation(chat),
            **source,
            "timestamp": message.created_at,
            "msec_timestamp": message.created_at * 1000,
            "message": _content(message),
        },
    }


def typing_hook(settings: SimulatorSettings, chat: Chat, user_id: str, now: int) -> dict[str, Any]:
    """Return the body that says that somebody of the company is typing.

    Args:
        user_id: the user's `amojo_id`.
    """
    typing = {"user": {"id": user_id}, "conversation": _conversation(chat), "expired_at": now + TYPING_SECONDS}
    return {"account_id": settings.amojo_id, "time": now, "action": {"typing": typing}}


def reaction_hook(
    settings: SimulatorSettings, chat: Chat, message: Message, user_id: str, emoji: str, now: int, as_message: bool
) -> dict[str, Any]:
    """Return the body of a reaction of the company to a message; an empty emoji takes it away.

    Args:
        as_message: name the message as the field table does, `message{…}`, not as the sample does, `msgid`.
    """
    named: dict[str, Any] = {"msgid": message.id}
    if as_message:
        named = {"message": {"id": message.id, "msgid": message.client_msgid}}
    reaction = {
        **named,
        "user": {"id": user_id},
        "conversation": _conversation(chat),
        "type": "react" if emoji else "unreact",
        **({"emoji": emoji} if emoji else {}),
    }
    return {"account_id": settings.amojo_id, "time": now, "action": {"reaction": reaction}}


def _content(message: Message) -> dict[str, Any]:
    file = message.attachment
    names = ("media_group_id", "template", "reply_to")
    extra: dict[str, Any] = {name: message.extra[name] for name in names if name in message.extra}
    return {
        "id": message.id,
        "type": message.message_type,
        "text": message.text,
        "markup": message.extra.get("markup"),
        "tag": "",
        "media": file.link if file else "",
        "thumbnail": "",
        "file_name": file.file_name if file else "",
        "file_size": file.file_size if file else 0,
        **extra,
    }


def _conversation(chat: Chat) -> dict[str, str]:
    return {"id": chat.id} | ({"client_id": chat.conversation_id} if chat.conversation_id else {})
