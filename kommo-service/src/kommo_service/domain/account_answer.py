"""What Kommo's answers to a check say of an account: whose it is, its clock, its plan and its token's rights."""

from collections.abc import Mapping
from typing import Any

from kommo_service.domain.classification import DRIFT_LIMIT_SECONDS, Answer, Failure
from kommo_service.domain.findings import Finding, fine, problem, unknown, warning
from kommo_service.domain.token_check import HOW_TO_RENEW, LIST_SCOPE, SEND_SCOPE

DRIFT_WARNING_SECONDS = 15.0
_UNREACHED: Mapping[int, tuple[str, str, str]] = {
    401: ("token", "Kommo refuses the access token: it is wrong, has ended or was withdrawn.", f"{HOW_TO_RENEW}."),
    402: ("account", "Kommo asks for payment before it answers.", "Pay the account's plan."),
    404: ("address", "There is no Kommo account at this address.", "Correct subdomain and domain in the account file."),
    429: ("limit", "Kommo answers 429: more than 7 requests a second.", "Find out who else uses the account's limit."),
}


def reached(answer: Answer | Failure, base_url: str) -> Finding | None:
    """Return why Kommo did not show the account; None when it did.

    Args:
        answer: what came back for the account.
        base_url: where it was asked.
    """
    if isinstance(answer, Failure):
        text = f"{base_url} does not answer ({answer.value})."
        return problem("address", text, "See whether subdomain and domain are right, and whether egress is allowed.")
    if answer.status == 200:
        return None
    if 300 <= answer.status < 400:
        text = f"{base_url} leads elsewhere: the account was renamed."
        return problem("address", text, "Set subdomain to the account's present name.")
    if answer.status == 403:
        return _forbidden(answer)
    name, text, remedy = _UNREACHED.get(
        answer.status, ("address", f"{base_url} answers {answer.status}.", "Run the check again later.")
    )
    return problem(name, text, remedy)


def _forbidden(answer: Answer) -> Finding:
    if answer.is_html:
        text = "Kommo blocks this address or account for a while (403 in HTML)."
        return problem("limit", text, "Wait, and find out who else uses the account's limit of 7 requests a second.")
    return problem("token", "The token may not read the account.", "Let an administrator of the account issue it.")


def identity(body: Mapping[str, Any], account_id: str, subdomain: str) -> list[Finding]:
    """Return whether the account that answers is the one of the account file."""
    found = []
    if str(body.get("id")) != account_id:
        text = f"The token opens account {body.get('id')}, but the account file says {account_id}."
        found.append(problem("account", text, "Correct id in the account file, or use a token of that account."))
    if body.get("subdomain") not in (None, subdomain):
        text = f"The account is called {body.get('subdomain')} now, and {subdomain} in the account file."
        found.append(problem("subdomain", text, f'Set subdomain = "{body.get("subdomain")}".'))
    return found or [fine("account", f"Kommo answers as account {account_id}, {subdomain}; the token is taken.")]


def clock(answer: Answer) -> Finding:
    """Return how far this machine's clock is from Kommo's."""
    if answer.date is None:
        return unknown("clock", "Kommo did not tell the time.")
    seconds = round(abs(answer.drift_seconds))
    text = f"This machine's clock is {seconds} s {'behind' if answer.drift_seconds > 0 else 'ahead of'} Kommo's."
    remedy = "Set the clock by NTP: signatures are dated, and messages are put in order by time."
    if seconds > DRIFT_LIMIT_SECONDS:
        return problem("clock", text, remedy)
    if seconds > DRIFT_WARNING_SECONDS:
        return warning("clock", text, remedy)
    return fine("clock", "This machine's clock is right.")


def refused_scopes(sending: Answer | Failure, reading: Answer | Failure) -> list[str]:
    """Return the scopes whose requests Kommo refused.

    Source: Kommo, sending a message to a conversation: 403 `Invalid scope`.
    """
    asked = ((SEND_SCOPE, sending), (LIST_SCOPE, reading))
    return [name for name, one in asked if isinstance(one, Answer) and one.status == 403 and not one.is_html]


def plan(sending: Answer | Failure) -> list[Finding]:
    """Return what the probe of sending says of plan and quota.

    Source: Kommo, sending a message to a conversation: 402 with the limit or the tariff in its detail.
    """
    if not isinstance(sending, Answer) or sending.status in (401, 403, 429) or sending.status >= 500:
        return [unknown("plan", "Kommo did not say whether the plan allows sending."), _QUOTA_UNKNOWN]
    if sending.status != 402:
        return [fine("plan", "The plan allows sending by the Chats API."), _QUOTA_UNKNOWN]
    words = sending.detail.lower()
    if "limit" in words:
        text = "The month's messages of the Chats API are used up: every reply is refused."
        return [problem("quota", text, "Buy a package of messages in Kommo, or wait for the next month.")]
    if "tariff" in words:
        text = "The account's plan lacks the Chats API add-on: no reply can be sent to WhatsApp, Instagram …"
        return [problem("plan", text, "Change the plan in Kommo, or answer by another transport.")]
    return [problem("plan", "Kommo asks for payment before it sends.", "Pay the account's plan.")]


_QUOTA_UNKNOWN = unknown(
    "quota", "Kommo does not tell how many messages are left; `kommomesh accounts usage` shows what the mesh has sent."
)
