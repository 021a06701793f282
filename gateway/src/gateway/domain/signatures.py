"""Tells whether a body was signed with one of the valid secrets."""

import hmac
from collections.abc import Iterable
from string import hexdigits

SHA1_HEX_LENGTH = 40
SHA256_HEX_LENGTH = 64


def _is_hex(signature: str, length: int) -> bool:
    # Looked at before any comparison: constant-time comparisons raise on texts that are not ASCII.
    return len(signature) == length and all(char in hexdigits for char in signature)


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Tell whether `signature` is the hex HMAC-SHA1 of the body, or of the body without its trailing CR and LF.

    Args:
        body: the raw bytes as received.
        signature: the header's value; empty when it is missing.
        secrets: the valid secrets; an empty one signs nothing.

    Source: Kommo Chats API, "Webhooks" (X-Signature); captured bodies end with a newline that is not signed.
    """
    if not _is_hex(signature, SHA1_HEX_LENGTH):
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


def is_uninstall_signed(client_uuid: str, account_id: str, signature: str, secrets: Iterable[str]) -> bool:
    """Tell whether `signature` is the hex HMAC-SHA256 of `client_uuid|account_id`.

    Args:
        client_uuid: id of the integration.
        account_id: id of the account that it was taken out of.
        signature: as sent; empty when it is missing.
        secrets: the valid client secrets; an empty one signs nothing.

    Source: Kommo, uninstall hook.
    """
    if not _is_hex(signature, SHA256_HEX_LENGTH):
        return False
    given, signed = signature.lower(), f"{client_uuid}|{account_id}".encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256").hex(), given) for secret in secrets if secret
    ]
    return any(matches)
