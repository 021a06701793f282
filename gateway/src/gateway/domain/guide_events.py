"""Reads the JSON shape that integration guides post, with the author types that those guides use."""

from typing import Any

from gateway.domain.events import AuthorKind, IgnoreReason, Intake
from gateway.domain.forms import ordered_items, stray_count
from gateway.domain.items import read_message
from gateway.domain.json_values import text_of, tree_of

CLIENT_TYPES = ("", "contact", "external")
PERSON_TYPES = ("user", "internal")


def account_id_of(body: dict[str, Any]) -> str:
    """Return the account that the body names; empty when it names none."""
    account = body.get("account")
    return text_of(account.get("id")) if isinstance(account, dict) else ""


def _author(author_type: str, is_outgoing: bool) -> AuthorKind | None:
    if author_type in PERSON_TYPES:
        return AuthorKind.PERSON
    if is_outgoing or author_type not in CLIENT_TYPES:
        return AuthorKind.BOT
    return None


def _count_unknown(body: dict[str, Any], intake: Intake) -> None:
    intake.ignore(IgnoreReason.UNKNOWN_EVENT, len(body.keys() - {"account", "message"}))


def read_guide_events(body: dict[str, Any]) -> Intake:
    """Return what the body brings.

    Raises:
        EventsError: it brings more events than one call may store.
    """
    intake = Intake()
    _count_unknown(body, intake)
    message = body.get("message")
    if not isinstance(message, dict):
        intake.ignore(IgnoreReason.UNKNOWN_EVENT, int(bool(message)))
        return intake
    for action, items in message.items():
        tree = tree_of(items) if isinstance(items, dict | list) else text_of(items)
        intake.ignore(IgnoreReason.MALFORMED_ITEM, stray_count(tree))
        for item in ordered_items(tree):
            intake.add(read_message(item, _author) if action == "add" else IgnoreReason.MESSAGE_CHANGE)
    return intake
