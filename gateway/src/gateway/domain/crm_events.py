"""Reads CRM webhooks: client messages, company messages and talks, and a counted reason for all else."""

from collections.abc import Iterator
from itertools import repeat

from gateway.domain.events import (
    MAX_ID_LENGTH,
    AuthorKind,
    Event,
    EventsError,
    IgnoreReason,
    Intake,
    TalkEvent,
    unix_time,
)
from gateway.domain.forms import Form, Tree, child, ordered_items, scalar, stray_count
from gateway.domain.items import read_chat, read_message

IGNORED_KINDS = {
    "leads": IgnoreReason.LEAD_EVENT,
    "contacts": IgnoreReason.CONTACT_EVENT,
    "companies": IgnoreReason.COMPANY_EVENT,
    "customers": IgnoreReason.CONTACT_EVENT,
    "task": IgnoreReason.TASK_EVENT,
    "chat_template_review": IgnoreReason.TEMPLATE_REVIEW,
}
MESSAGE_CHANGES = {
    "message": IgnoreReason.MESSAGE_CHANGE,
    "outgoing_message": IgnoreReason.MESSAGE_CHANGE,
    "talk": IgnoreReason.TALK_CHANGE,
}


def account_id_of(form: Form) -> str:
    """Return the account that a CRM webhook says it comes from; empty when it does not say.

    Raises:
        EventsError: nothing in the form is nested, so it is no webhook at all.
    """
    if not any(isinstance(node, dict) for node in form.tree.values()):
        raise EventsError("not_a_form")
    return scalar(child(form.tree, "account"), "id")


def _author_in_message(author_type: str, is_outgoing: bool) -> AuthorKind | None:
    """Return who wrote an item of `message[add]` or `add`.

    Source: Kommo CRM webhooks, authors: by `type` and author type, not by the wrapper alone.
    """
    if author_type == "internal":
        return AuthorKind.PERSON
    if is_outgoing or author_type not in ("", "external"):
        return AuthorKind.BOT
    return None


def _author_in_outgoing(author_type: str, _is_outgoing: bool) -> AuthorKind:
    # What does not say that a person wrote it must not silence the bot.
    return AuthorKind.PERSON if author_type == "internal" else AuthorKind.BOT


def _read_talk(item: Tree) -> TalkEvent | IgnoreReason:
    chat = read_chat(item, "")
    if not chat.chat_id:
        return IgnoreReason.MISSING_CHAT_ID
    if max(len(chat.chat_id), len(chat.talk_id)) > MAX_ID_LENGTH:
        return IgnoreReason.ID_TOO_LONG
    at = unix_time(scalar(item, "updated_at")) or unix_time(scalar(item, "created_at"))
    return TalkEvent(chat, is_closed=scalar(item, "is_in_work") == "0", at=at)


def _unsorted_reason(item: Tree) -> IgnoreReason:
    # The first message of the chat comes as message[add] too: answering both would answer twice.
    return IgnoreReason.UNSORTED_COPY if scalar(item, "category") == "chats" else IgnoreReason.UNSORTED_EVENT


def _ignored(kind: str, actions: Tree) -> Iterator[IgnoreReason]:
    for action, items in actions.items():
        yield from _strays(items)
        for item in ordered_items(items):
            if kind == "unsorted":
                yield _unsorted_reason(item)
            elif action == "note":
                yield IgnoreReason.NOTE
            else:
                yield IGNORED_KINDS.get(kind, IgnoreReason.UNKNOWN_EVENT)


def _strays(items: "str | Tree") -> Iterator[IgnoreReason]:
    return repeat(IgnoreReason.MALFORMED_ITEM, stray_count(items))


def _messages(actions: Tree, kind: str) -> Iterator[Event | IgnoreReason]:
    author_of = _author_in_outgoing if kind == "outgoing_message" else _author_in_message
    for action, items in actions.items():
        yield from _strays(items)
        for item in ordered_items(items):
            yield read_message(item, author_of) if action == "add" else MESSAGE_CHANGES[kind]


def _talks(actions: Tree) -> Iterator[Event | IgnoreReason]:
    for action, items in actions.items():
        yield from _strays(items)
        for item in ordered_items(items):
            yield _read_talk(item) if action in ("add", "update") else MESSAGE_CHANGES["talk"]


def _read_kind(kind: str, node: "str | Tree") -> Iterator[Event | IgnoreReason]:
    if not isinstance(node, dict):
        yield IgnoreReason.UNKNOWN_EVENT
    elif kind == "add":
        yield from _messages({"add": node}, "message")
    elif kind in ("message", "outgoing_message"):
        yield from _messages(node, kind)
    elif kind == "talk":
        yield from _talks(node)
    else:
        yield from _ignored(kind, node)


def read_crm_events(form: Form) -> Intake:
    """Return what a CRM webhook brings, items of one kind in the order of their numeric indexes.

    Raises:
        EventsError: it brings more events than one call may store.

    Source: Kommo CRM webhooks, events and their envelope.
    """
    intake = Intake()
    intake.ignore(IgnoreReason.MALFORMED_PAIR, form.left_out)
    intake.ignore(IgnoreReason.REPEATED_PAIR, form.overwritten)
    for kind, node in form.tree.items():
        if kind == "account":
            continue
        for found in _read_kind(kind, node):
            intake.add(found)
    return intake
