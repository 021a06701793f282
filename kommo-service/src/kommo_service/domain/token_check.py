"""What a long-lived token says of itself, and what is wrong with that."""

import base64
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kommo_service.domain.findings import Finding, fine, problem, unknown, warning

SEND_SCOPE = "send_external_messages"
LIST_SCOPE = "list_external_messages"
NEEDED_SCOPES = (SEND_SCOPE, LIST_SCOPE)
SOON = timedelta(days=30)
# From here on it is told again and again, because nothing can be sent once it has ended.
URGENT = timedelta(days=14)
HOW_TO_RENEW = (
    "In Kommo: Settings > Integrations > the private integration > Keys and scopes, generate a long-lived token"
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; None and empty where it does not say it."""

    expires_at: datetime | None
    account_id: str
    scopes: frozenset[str] | None


def claims_of(token: str) -> Claims | None:
    """Return what a token says, without verifying it; None when it is no JWT.

    Source: Kommo, long-lived token: an RS256 JWT with `exp`, `account_id` and `scopes`.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return _claims(said) if isinstance(said, dict) else None


def _claims(said: Mapping[str, Any]) -> Claims:
    scopes = said.get("scopes")
    return Claims(
        expires_at=_time(said.get("exp")),
        account_id=str(said.get("account_id") or ""),
        scopes=frozenset(map(str, scopes)) if isinstance(scopes, list) else None,
    )


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value), UTC) if isinstance(value, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def expiry(claims: Claims | None, now: datetime) -> Finding:
    """Return how long a token is good."""
    if claims is None or claims.expires_at is None:
        return unknown("token_expiry", "The token does not say when it ends.")
    day = claims.expires_at.date().isoformat()
    remedy = f"{HOW_TO_RENEW}, and put it first in secrets.access_token; both count until the old one is removed."
    if claims.expires_at <= now:
        return problem("token_expiry", f"The access token ended on {day}.", remedy)
    if claims.expires_at - now < SOON:
        return warning("token_expiry", f"The access token ends on {day}.", remedy)
    return fine("token_expiry", f"The access token is good until {day}.")


def last_end(tokens: Iterable[str]) -> datetime | None:
    """Return when the last of an account's tokens ends, all of which count; None where one does not say, or none is."""
    ends = [claims.expires_at if claims else None for claims in map(claims_of, tokens)]
    known = [end for end in ends if end is not None]
    return max(known, default=None) if len(known) == len(ends) else None


def owner(claims: Claims | None, account_id: str) -> Finding | None:
    """Return what is wrong with whose token it is; None when nothing is, or it does not say."""
    if claims is None or claims.account_id in ("", account_id):
        return None
    return problem(
        "token_account",
        f"The access token belongs to account {claims.account_id}, not to {account_id}.",
        f"{HOW_TO_RENEW} in account {account_id}; or correct `id` in the account file.",
    )


def scopes(claims: Claims | None, refused: Collection[str]) -> Finding:
    """Return which of the scopes that are needed a token has.

    Args:
        claims: what the token says.
        refused: scopes whose requests Kommo refused.
    """
    said = claims.scopes if claims else None
    missing = [one for one in NEEDED_SCOPES if one in refused or (said is not None and one not in said)]
    if missing:
        text = f"The access token lacks {' and '.join(missing)}."
        return problem("token_scopes", text, f"{HOW_TO_RENEW} with these scopes; those of a token never change.")
    return fine("token_scopes", "The access token may send to chats and read them.")
