"""What is right or wrong with the field that an account's Salesbot prints."""

from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.findings import Finding, fine, problem, unknown, warning

FIELD_PATH = "/api/v4/leads/custom_fields"
SHORT_FIELD = 256
_TEXT_TYPES = ("text", "textarea")


def field(answer: Answer | Failure, field_id: int, field_limit: int) -> Finding:
    """Return whether the leads of the account have the field, and whether it holds what is written into it.

    Args:
        answer: what Kommo said of the field.
        field_id: the field.
        field_limit: most characters that the mesh writes into it.

    Source: Kommo, custom fields of leads: `type` is `text` (256 characters) or `textarea`.
    """
    if isinstance(answer, Failure) or answer.status not in (200, 204, 404):
        return unknown("salesbot", "Kommo did not show the fields of leads.", "Let an administrator issue the token.")
    if answer.status != 200:
        text = f"Leads have no field {field_id}: no reply can be sent by salesbot_field."
        return problem("salesbot", text, "Make a text area of leads in Kommo, and set [salesbot] field_id to its id.")
    kind = str(answer.body.get("type") or "")
    if kind not in _TEXT_TYPES:
        return problem("salesbot", f"The field {field_id} is of type {kind}, which holds no text.", "Use a text area.")
    if kind == "text" and field_limit > SHORT_FIELD:
        text = f"The field {field_id} holds {SHORT_FIELD} characters, but field_limit is {field_limit}."
        return problem("salesbot", text, f"Set field_limit = {SHORT_FIELD}, or use a text area.")
    if kind == "textarea" and field_limit <= SHORT_FIELD:
        text = f"The field {field_id} is a text area, but replies are cut at {field_limit} characters."
        return warning("salesbot", text, "Set field_limit = 1000: fewer messages, and sooner.")
    return fine("salesbot", f"Leads have the field {field_id}; that a bot prints it can be seen in Kommo alone.")
