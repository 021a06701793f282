"""Reads request bodies, never more of them than is allowed, and never for longer."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope


class BodyTooLarge(Exception):
    """The body is, or says it is, larger than the limit."""


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class BodyNotPlain(Exception):
    """The body is compressed, which is not supported."""


class ClientGone(Exception):
    """The sender hung up; nobody reads an answer."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The most bytes a body may have, and the seconds in which it has to arrive."""

    bytes: int = 1_048_576
    seconds: float = 10.0


def header(scope: Scope, name: bytes) -> str:
    """Return the value of a request header, the last where there are several; empty when it is missing.

    Args:
        scope: the request.
        name: the header's name in lower case.
    """
    found = b""
    for key, value in scope["headers"]:
        if key == name:
            found = value
    return found.decode("latin-1")


def _check_announced(scope: Scope, limit: int) -> None:
    if header(scope, b"content-encoding").lower() not in ("", "identity"):
        raise BodyNotPlain
    length = header(scope, b"content-length")
    if length.isascii() and length.isdigit() and (len(length) > 12 or int(length) > limit):
        raise BodyTooLarge


async def _collect(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_body(scope: Scope, receive: Receive, limits: BodyLimits) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: as soon as it is known, from the announced length or while reading.
        BodyTooSlow: it did not arrive in time.
        BodyNotPlain: it is compressed.
        ClientGone: the sender hung up.
    """
    _check_announced(scope, limits.bytes)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _collect(receive, limits.bytes)
    except TimeoutError:
        raise BodyTooSlow from None
