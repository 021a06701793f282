"""Tells whether a body was signed with one of the valid secrets."""

import hmac
from collections.abc import Iterable
from string import hexdigits

SHA1_HEX_LENGTH = 40


def _is_hex(signature: str) -> bool:
    # Looked at before any comparison: constant-time comparisons raise on texts that are not ASCII.
    return len(signature) == SHA1_HEX_LENGTH and all(char in hexdigits for char in signature)


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Tell whether `signature` is the hex HMAC-SHA1 of the body, or of the body without its trailing CR and LF.

    Args:
        body: the raw bytes as received.
        signature: the header's value; empty when it is missing.
        secrets: the valid secrets; an empty one signs nothing.

    Source: Kommo Chats API, "Webhooks" (X-Signature); captured bodies end with a newline that is not signed.
    """
    if not _is_hex(signature):
        return False
    given = signature.lower()
    trimmed = body.rstrip(b"\r\n")
    signed = (body,) if len(trimmed) == len(body) else (body, trimmed)
    matches = [
        hmac.compare_digest(hmac.digest(secret.encode(), candidate, "sha1").hex(), given)
        for secret in secrets
        if secret
        for candidate in signed
    ]
    return any(matches)
