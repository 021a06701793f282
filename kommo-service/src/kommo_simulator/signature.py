"""The signatures of Kommo's Chats API: four headers on requests, an HMAC of the body on webhooks."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

JSON = "application/json"
MAXIMUM_AGE_SECONDS = 15 * 60


def content_md5(body: bytes) -> str:
    """Return the lower-case hex MD5 of the exact body bytes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def sign_request(secret: str, method: str, path: str, body: bytes, date: str) -> str:
    """Return the X-Signature of a Chats API request.

    Args:
        secret: channel secret, used as its ASCII text.
        path: path of the URL, without host and query.
        date: the Date header, character for character.

    Source: Kommo Chats API, signing of requests.
    """
    text = "\n".join((method.upper(), content_md5(body), JSON, date, path))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()


def sign_body(secret: str, body: bytes) -> str:
    """Return the X-Signature of a Chats webhook, whose body is signed without its final newline."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def refusal(secret: str, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
    """Tell why a Chats API request must be refused; None when it is properly signed.

    Args:
        headers: the request's headers, names in lower case.
        now: unix seconds.
    """
    if headers.get("content-type") != JSON:
        return "content-type is not exactly application/json"
    if headers.get("content-md5") != content_md5(body):
        return "content-md5 is not the lower-case hex MD5 of the body"
    date = headers.get("date", "")
    sent_at = _parse_date(date)
    if sent_at is None:
        return "date is missing or not RFC 2822"
    if abs(now - sent_at.timestamp()) > MAXIMUM_AGE_SECONDS:
        return "date is more than 15 minutes away"
    signature = headers.get("x-signature", "")
    expected = sign_request(secret, method, path, body, date)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return "x-signature does not match"
    return None


def _parse_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
