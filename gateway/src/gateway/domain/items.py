"""Reads one message item, which CRM webhooks and the guide's JSON shape share."""

import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from gateway.domain.events import (
    AuthorKind,
    Chat,
    ClientMessage,
    CompanyMessage,
    Content,
    ContentType,
    IgnoreReason,
    missing_id,
    unix_time,
)
from gateway.domain.forms import Tree, child, scalar
from gateway.domain.origins import shipped_origins

CONTENT_TYPES = {kind.value: kind for kind in ContentType}
OUTGOING = "outgoing"
LEAD = ("lead", "leads", "2")
CONTACT = ("contact", "contacts", "1")

AuthorReader = Callable[[str, bool], AuthorKind | None]


@cache
def _placeholders() -> frozenset[str]:
    data = tomllib.loads((files("gateway.domain") / "placeholders.toml").read_text("utf-8"))
    return frozenset(data["texts"])


def _is_placeholder(text: str) -> bool:
    return len(text) < 40 and text.strip(" .[]()<>").lower() in _placeholders()


def _attachment_type(item: Tree) -> ContentType | None:
    attachment = child(item, "attachment")
    if not attachment:
        return None
    return CONTENT_TYPES.get(scalar(attachment, "type").lower(), ContentType.OTHER)


def _declared_type(item: Tree) -> ContentType | None:
    """Return the type that an item names; without one, that of its attachment; None when neither is there.

    Source: Kommo CRM webhooks, fields of a message; older accounts send no `message_type`.
    """
    named = scalar(item, "message_type").lower()
    return CONTENT_TYPES.get(named, ContentType.OTHER) if named else _attachment_type(item)


def read_content(item: Tree) -> Content:
    """Return what a message item says; Kommo's placeholders for a missing text are no text."""
    attachment = child(item, "attachment")
    declared = _declared_type(item)
    text = scalar(item, "text")
    if declared is not ContentType.TEXT and _is_placeholder(text):
        text = ""
    if declared in (None, ContentType.TEXT) and not text.strip():
        # It says that it is text and has none: still something that somebody has to see.
        declared = _attachment_type(item) or ContentType.OTHER
    return Content(
        message_id=scalar(item, "id"),
        text=text,
        content_type=declared or ContentType.TEXT,
        media_url=scalar(attachment, "link"),
        file_name=scalar(attachment, "file_name"),
        written_at=unix_time(scalar(item, "created_at")),
    )


def _entity(item: Tree, kinds: tuple[str, ...]) -> str:
    """Return the id of the entity when it is of the kind; type and id come under two pairs of names."""
    kind = scalar(item, "entity_type") or scalar(item, "element_type")
    if kind.lower() not in kinds:
        return ""
    return scalar(item, "entity_id") or scalar(item, "element_id")


def read_chat(item: Tree, contact_name: str) -> Chat:
    """Return the conversation of a message or talk item."""
    origin = scalar(item, "origin")
    return Chat(
        chat_id=scalar(item, "chat_id"),
        origin=origin,
        channel=shipped_origins().channel_of(origin),
        talk_id=scalar(item, "talk_id"),
        contact_id=scalar(item, "contact_id") or _entity(item, CONTACT),
        lead_id=_entity(item, LEAD),
        contact_name=contact_name,
    )


def _company_message(item: Tree, content: Content, kind: AuthorKind) -> CompanyMessage:
    author = child(item, "author")
    return CompanyMessage(
        chat=read_chat(item, scalar(child(item, "recipient"), "name")),
        content=content,
        author_kind=kind,
        author_id=scalar(author, "user_id") or scalar(author, "id"),
        author_name=scalar(author, "name"),
    )


def read_message(item: Tree, author_of: AuthorReader) -> ClientMessage | CompanyMessage | IgnoreReason:
    """Return the message of an item, or why it is ignored.

    Args:
        item: the item.
        author_of: from the author's type and whether the message is outgoing, who of the company wrote it; None
            when the client did.
    """
    refused = missing_id(scalar(item, "chat_id"), scalar(item, "id"))
    if refused is not None:
        return refused
    content = read_content(item)
    author = child(item, "author")
    kind = author_of(scalar(author, "type").lower(), scalar(item, "type").lower() == OUTGOING)
    if kind is not None:
        return _company_message(item, content, kind)
    return ClientMessage(read_chat(item, scalar(author, "name")), content)
