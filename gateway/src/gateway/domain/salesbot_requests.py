"""Reads what a Salesbot's widget step posts: who asks, and where the bot wants to be continued."""

from dataclasses import dataclass
from typing import Any

from gateway.domain.events import MAX_ID_LENGTH, IgnoreReason
from gateway.domain.forms import Form, scalar
from gateway.domain.items import LEAD
from gateway.domain.json_values import text_of


@dataclass(frozen=True, slots=True)
class WidgetRequest:
    """A widget request as it came. What the bot's step put into `data` is not read: it may hold placeholders that
    Kommo could not fill in, and the message itself comes by a CRM webhook.
    """

    token: str
    return_url: str


def of_form(form: Form) -> WidgetRequest:
    """Return the request of a form body; what it lacks is empty."""
    return WidgetRequest(scalar(form.tree, "token"), scalar(form.tree, "return_url"))


def of_json(body: dict[str, Any]) -> WidgetRequest:
    """Return the request of a JSON body; what it lacks is empty."""
    return WidgetRequest(text_of(body.get("token")), text_of(body.get("return_url")))


def lead_of(claims: dict[str, Any]) -> str | IgnoreReason:
    """Return the lead whose bot asks, or why the request is ignored: a bot of a contact or customer has none.

    Source: Kommo Salesbot token; `entity_type` is documented as a word and sent as a number.
    """
    lead_id = text_of(claims.get("entity_id"))
    if text_of(claims.get("entity_type")).lower() not in LEAD or lead_id in ("", "0"):
        return IgnoreReason.BOT_WITHOUT_LEAD
    return IgnoreReason.ID_TOO_LONG if len(lead_id) > MAX_ID_LENGTH else lead_id
