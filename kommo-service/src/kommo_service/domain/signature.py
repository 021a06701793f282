"""The four headers that sign a request to the Chats API."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

CONTENT_TYPE = "application/json"


def http_date(now: datetime) -> str:
    """Return an aware time as the Date header carries it, such as `Tue, 01 Sep 2026 12:00:00 +0000`."""
    return format_datetime(now.astimezone(UTC))


def signed_headers(secret: str, method: str, path: str, body: bytes, date: str) -> Mapping[str, str]:
    """Return the headers that Kommo asks for on every request to the Chats API.

    Args:
        secret: the channel secret, used as its ASCII text and not decoded from hex.
        method: HTTP method.
        path: path of the URL as it is sent, without scheme, host and query.
        body: the exact bytes that are sent.
        date: the Date header; made anew for each attempt, because it is valid for 15 minutes.

    Source: Kommo Chats API, signing of requests.
    """
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    text = "\n".join((method.upper(), digest, CONTENT_TYPE, date, path))
    signature = hmac.new(secret.encode("ascii"), text.encode(), hashlib.sha1).hexdigest()
    return {"Date": date, "Content-Type": CONTENT_TYPE, "Content-MD5": digest, "X-Signature": signature}
