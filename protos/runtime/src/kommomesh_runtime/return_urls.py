"""Tells whether the address at which a Salesbot wants to be continued is really Kommo's."""

import ipaddress
import re
from urllib.parse import urlsplit

from kommomesh_runtime.accounts import Account

# Whole and exact, so that no reading of what is a host, a port or a user can differ between two programs.
CONTINUATION = re.compile(r"/api/v4/salesbot/[0-9]{1,20}/continue/[0-9A-Za-z_-]{1,128}")
MOST_CHARACTERS = 512


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bases(account: Account) -> tuple[str, ...]:
    own = f"https://{account.subdomain}.{account.domain}"
    base = account.kommo_base_url.rstrip("/")
    return (own, base) if _is_loopback(base) else (own,)


def is_return_url(url: str, account: Account) -> bool:
    """Tell whether a Salesbot of the account may be continued at `url`, which then receives the account's token.

    Only https, the account's own host, no user, port, query or fragment, and the documented path will do; besides, a
    simulator on this machine, where the account has one for its Kommo.

    Args:
        url: as it came with the bot's request.
        account: the account of the request.

    Source: Kommo Salesbot, `widget_request` and continuation: `https://{subdomain}.{domain}/api/v4/salesbot/…`.
    """
    if len(url) > MOST_CHARACTERS:
        return False
    return any(url.startswith(base) and CONTINUATION.fullmatch(url, len(base)) is not None for base in _bases(account))
