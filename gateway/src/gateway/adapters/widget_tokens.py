"""Proves the token of a Salesbot's widget request."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

from kommomesh_runtime.accounts import Account

ALGORITHM = "HS512"
LEEWAY_SECONDS = 30
MOST_CHARACTERS = 4_096
LATEST_SECONDS = 1e12
OPTIONS: Any = {
    "require": ["exp", "aud", "iss", "account_id", "client_uuid"],
    # Times are looked at here, by the clock that the caller names.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class TokenRefused(Exception):
    """The token proves nothing here."""


@dataclass(frozen=True, slots=True)
class WidgetTrust:
    """What a token has to say to speak for an account: issuer's host, audiences, account, integration."""

    host: str
    audiences: tuple[str, ...]
    account_id: str
    integration_id: str

    @classmethod
    def of(cls, account: Account) -> "WidgetTrust":
        """Return what the tokens of an account have to say."""
        url = urlsplit(account.public_url)
        origin = f"{url.scheme}://{url.netloc}"
        # The audience is documented as scheme and host; whether a port belongs to it is not.
        audiences = (origin, f"{url.scheme}://{url.hostname}")
        return cls(f"{account.subdomain}.{account.domain}".lower(), audiences, account.id, account.integration_id)


def proved_claims(token: str, secrets: Iterable[str], trust: WidgetTrust, now: float) -> dict[str, Any]:
    """Return the claims of a token that was signed with one of the secrets and is meant for this account, now.

    Args:
        token: the JWT.
        secrets: the valid client secrets; an empty one signs nothing.
        trust: what it has to say.
        now: unix seconds.

    Raises:
        TokenRefused: it is anything else.

    Source: Kommo Salesbot, request token: JWT signed with the integration's client secret, HS512.
    """
    if len(token) > MOST_CHARACTERS:
        raise TokenRefused
    for secret in secrets:
        claims = _signed_claims(token, secret, trust) if secret else None
        if claims is not None and _is_meant(claims, trust) and _is_timely(claims, now):
            return claims
    raise TokenRefused


def _signed_claims(token: str, secret: str, trust: WidgetTrust) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, secret, algorithms=[ALGORITHM], audience=trust.audiences, options=OPTIONS)
    except jwt.PyJWTError:
        return None


def _is_meant(claims: dict[str, Any], trust: WidgetTrust) -> bool:
    try:
        host = urlsplit(str(claims["iss"])).hostname
    except ValueError:
        return False
    is_ours = str(claims["account_id"]) == trust.account_id
    return is_ours and host == trust.host and str(claims["client_uuid"]) == trust.integration_id


def _is_timely(claims: dict[str, Any], now: float) -> bool:
    ends, begins = claims["exp"], [claims[name] for name in ("nbf", "iat") if name in claims]
    if not all(_is_time(value) for value in (ends, *begins)):
        return False
    return bool(ends > now - LEEWAY_SECONDS) and all(begin <= now + LEEWAY_SECONDS for begin in begins)


def _is_time(value: Any) -> bool:
    # What is no number at all is not below anything either.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LATEST_SECONDS
