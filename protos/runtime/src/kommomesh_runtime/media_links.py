"""Where the files of an account's messages may be, and what of a file's name may be shown."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from kommomesh_runtime.accounts import Account

MOST_CHARACTERS = 2048
MOST_NAME_CHARACTERS = 120
# Whole and exact, so that no two programs read another host out of the same link: no user, no backslash, no space.
_LINK = re.compile(r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-\[\]-~]*)?")
_DRIVE = re.compile(r"drive-[a-z0-9-]{1,50}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A link that is allowed.

    Args:
        url: as it came.
        is_local: it leads to the simulator or proxy that the account file names, and so may lead to this machine.
    """

    url: str
    scheme: str
    host: str
    port: int
    is_local: bool


def media_link(url: str, account: Account) -> MediaLink | str:
    """Return a link that may lead to a file of the account, or the code of why it may not.

    Allowed are https links on the standard port to the account's own host, to the host of its Chats API and to Kommo's
    file hosts; besides, links to the very origins that the account file names for the two interfaces.

    Args:
        url: as it came with a message.
        account: the account of the message.

    Source: Kommo, links of attachments: `https://amojo.{domain}/…`, and `https://drive-*.{domain}/…` of talks.
    """
    if len(url) > MOST_CHARACTERS:
        return "link_too_long"
    read = _LINK.fullmatch(url)
    if read is None:
        return "link_malformed"
    scheme, host = read["scheme"], read["host"].lower()
    port = int(read["port"] or _DEFAULT_PORTS[scheme])
    if (scheme, host, port) in _named_origins(account):
        return MediaLink(url, scheme, host, port, is_local=_is_loopback(host))
    if scheme != "https":
        return "not_https"
    if not _is_kommos(host, account):
        return "foreign_host"
    return MediaLink(url, scheme, host, port, is_local=False) if port == _DEFAULT_PORTS[scheme] else "foreign_port"


def shown_name(name: str) -> str:
    """Return a file's name in one line of at most 120 characters, without folders, control and direction marks."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(" " if char.isspace() else char for char in last)
    seen = "".join(char for char in plain if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co"))
    return " ".join(seen.split())[:MOST_NAME_CHARACTERS]


def _is_kommos(host: str, account: Account) -> bool:
    domain = account.domain.lower()
    if host in (f"{account.subdomain}.{domain}".lower(), f"amojo.{domain}"):
        return True
    return host.endswith(f".{domain}") and _DRIVE.fullmatch(host.removesuffix(f".{domain}")) is not None


def _named_origins(account: Account) -> set[tuple[str, str, int]]:
    """Return the origins that the account file names beside Kommo's own: a simulator, or a proxy."""
    found = set()
    for base in (account.kommo_base_url, account.chats_base_url):
        parts = urlsplit(base)
        host = (parts.hostname or "").lower()
        if parts.scheme == "https" or _is_loopback(host):
            found.add((parts.scheme, host, parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)))
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
