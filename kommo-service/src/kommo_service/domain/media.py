"""Files that clients send: what may be asked of their servers, and what an answer says of a file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from kommomesh_runtime.media_links import shown_name

# WhatsApp takes at most 16 MB of a picture or voice; a document may be larger, and is then not looked into.
MOST_BYTES = 20 * 1024 * 1024
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,48}/[a-z0-9][a-z0-9!#$&^_.+-]{0,48}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# All of the public internet that is ever given to hosts; nothing else of IPv6 is a place for files.
_UNICAST = ip_network("2000::/3")
# Addresses within it that stand for another, older address, which may be a private one.
_TRANSLATED = tuple(ip_network(one) for one in ("2002::/16", "2001::/32"))


class MediaOutcome(StrEnum):
    """What looking at a file came to."""

    FOUND = "found"
    NOT_ALLOWED = "not_allowed"
    TOO_LARGE = "too_large"
    GONE = "gone"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What is known of a file; unknown texts are empty, an unknown size is 0."""

    outcome: MediaOutcome
    content_type: str = ""
    size_bytes: int = 0
    file_name: str = ""
    reason: str = ""


def not_allowed(reason: str) -> MediaFacts:
    """Return that nothing may be asked, and why."""
    return MediaFacts(MediaOutcome.NOT_ALLOWED, reason=reason)


def unreachable(reason: str) -> MediaFacts:
    """Return that it could not be told, and why."""
    return MediaFacts(MediaOutcome.UNREACHABLE, reason=reason)


def is_public(addresses: Iterable[str]) -> bool:
    """Tell whether there is an address, and all of them belong to the public internet."""
    found = [ip_address(address.partition("%")[0]) for address in addresses]
    return bool(found) and all(_is_public(address) for address in found)


def is_redirect(status: int) -> bool:
    """Tell whether an answer leads elsewhere."""
    return status in _REDIRECTS


def refusal(status: int) -> MediaFacts | None:
    """Return what an answer without a file says; None where it brings one."""
    if status == 200:
        return None
    if status in (401, 403):
        return MediaFacts(MediaOutcome.GONE, reason="refused")
    if status in (404, 410):
        return MediaFacts(MediaOutcome.GONE, reason="not_found")
    return unreachable("server_error" if status >= 500 else "unexpected_answer")


def declared(url: str, headers: Mapping[str, str]) -> MediaFacts:
    """Return what the head of an answer says of a file; a size that it does not tell is 0.

    Args:
        url: where the file is.
        headers: of the answer, by names in any case.
    """
    size = _size(headers.get("content-length", ""))
    kind = _media_type(headers.get("content-type", ""))
    name = _name(headers.get("content-disposition", ""), url)
    return sized(MediaFacts(MediaOutcome.FOUND, kind, file_name=name), size)


def sized(facts: MediaFacts, size_bytes: int) -> MediaFacts:
    """Return a file's facts with its size, which may be beyond what is ever read."""
    is_too_large = size_bytes > MOST_BYTES
    return MediaFacts(
        MediaOutcome.TOO_LARGE if is_too_large else MediaOutcome.FOUND,
        facts.content_type,
        size_bytes,
        facts.file_name,
        "too_large" if is_too_large else "",
    )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address not in _UNICAST or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0


def _media_type(header: str) -> str:
    named = header.partition(";")[0].strip().lower()
    return named if _MEDIA_TYPE.fullmatch(named) else ""


def _name(disposition: str, url: str) -> str:
    if disposition and len(disposition) <= 1000:
        message = EmailMessage()
        message["Content-Disposition"] = " ".join(disposition.split())
        named = shown_name(message.get_filename() or "")
        if named:
            return named
    last = shown_name(unquote(urlsplit(url).path))
    return last if "." in last else ""
