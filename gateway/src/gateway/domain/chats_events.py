"""Reads Chats API webhooks: what people and bots of the company wrote into the account's own channel."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.domain.events import (
    MAX_ID_LENGTH,
    AuthorKind,
    Chat,
    CompanyMessage,
    Content,
    ContentType,
    IgnoreReason,
    Intake,
    missing_id,
    unix_time,
)
from gateway.domain.json_values import text_of
from gateway.domain.origins import shipped_origins

CONTENT_TYPES = {kind.value: kind for kind in ContentType}
OWN_CHANNEL = "amo.ext."
MAX_PHONE = 40


@dataclass(frozen=True, slots=True)
class ChannelIdentity:
    """What tells who writes in an own channel: its code, and the amojo ids of the account's users."""

    code: str
    user_amojo_ids: frozenset[str]

    @classmethod
    def of(cls, code: str, user_amojo_ids: Collection[str]) -> "ChannelIdentity":
        """Return the identity; ids are compared without case."""
        return cls(code, frozenset(one.lower() for one in user_amojo_ids))

    def author_kind(self, sender_id: str) -> AuthorKind:
        """Return who a sender is: these hooks name no author type, so only a known user is a person."""
        return AuthorKind.PERSON if sender_id.lower() in self.user_amojo_ids else AuthorKind.BOT


def amojo_id_of(body: dict[str, Any]) -> str:
    """Return the amojo id of the account that the body names; empty when it names none."""
    return text_of(body.get("account_id"))


def _inner(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _content(message: dict[str, Any], outer: dict[str, Any]) -> Content:
    text = text_of(message.get("text"))
    return Content(
        message_id=text_of(message.get("id")),
        text=text,
        content_type=CONTENT_TYPES.get(text_of(message.get("type")).lower() or "text", ContentType.OTHER),
        media_url=text_of(message.get("media")),
        file_name=text_of(message.get("file_name")),
        written_at=unix_time(text_of(outer.get("msec_timestamp"))) or unix_time(text_of(outer.get("timestamp"))),
    )


def _read_message(outer: dict[str, Any], identity: ChannelIdentity) -> CompanyMessage | IgnoreReason:
    content = _content(_inner(outer, "message"), outer)
    chat_id = text_of(_inner(outer, "conversation").get("id"))
    refused = missing_id(chat_id, content.message_id)
    if refused is not None:
        return refused
    origin = identity.code if identity.code.startswith(OWN_CHANNEL) else OWN_CHANNEL + identity.code
    sender = _inner(outer, "sender")
    return CompanyMessage(
        chat=Chat(
            chat_id=chat_id,
            origin=origin,
            channel=shipped_origins().channel_of(origin),
            contact_name=text_of(_inner(outer, "receiver").get("name")),
            contact_phone=text_of(_inner(outer, "receiver").get("phone"))[:MAX_PHONE],
            conversation_id=_conversation_id(outer),
        ),
        content=content,
        author_kind=identity.author_kind(text_of(sender.get("id"))),
        author_id=text_of(sender.get("id")),
        author_name=text_of(sender.get("name")),
        is_for_owner=True,
    )


def _conversation_id(outer: dict[str, Any]) -> str:
    found = text_of(_inner(outer, "conversation").get("client_id"))
    return found if len(found) <= MAX_ID_LENGTH else ""


def _action_reasons(action: dict[str, Any]) -> list[IgnoreReason]:
    known = {"typing": IgnoreReason.TYPING, "reaction": IgnoreReason.REACTION}
    return [known.get(name, IgnoreReason.UNKNOWN_EVENT) for name in action]


def _is_stray(value: Any) -> bool:
    # An empty list is how PHP writes an object without fields.
    return bool(value) and not isinstance(value, dict)


def _is_v1(body: dict[str, Any]) -> bool:
    return "conversation_id" in body and "receiver" in body


def read_chats_events(body: dict[str, Any], identity: ChannelIdentity) -> Intake:
    """Return what a Chats API webhook brings: company messages only, never a client's.

    Args:
        body: the decoded body.
        identity: what tells the account's people from bots.

    Source: Kommo Chats API, "Webhooks".
    """
    intake = Intake()
    message, action = body.get("message"), body.get("action")
    if isinstance(message, dict):
        intake.add(_read_message(message, identity))
    if isinstance(action, dict):
        for reason in _action_reasons(action):
            intake.add(reason)
    intake.ignore(IgnoreReason.MALFORMED_ITEM, sum(_is_stray(one) for one in (message, action)))
    if _is_v1(body):
        intake.add(IgnoreReason.DEAD_HOOK_VERSION)
    elif not intake.events and not intake.ignored:
        intake.add(IgnoreReason.UNKNOWN_EVENT)
    return intake
