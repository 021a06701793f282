"""How the mesh and the relay of an own channel sign what they post to each other."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

TIMESTAMP_HEADER = "X-Relay-Timestamp"
REQUEST_ID_HEADER = "X-Relay-Request-Id"
SIGNATURE_HEADER = "X-Relay-Signature"
# How far a request's time may be from ours, either way; a request id is remembered for longer than that.
TOLERANCE = timedelta(minutes=5)
_HEX = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


def signature_of(secret: str, timestamp: str, request_id: str, body: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 of time, request id and body, joined by dots.

    Args:
        secret: the relay secret, as its UTF-8 text.
        timestamp: unix seconds, as the header carries them.
        request_id: a UUID, new for each request and for each repeat of one.
        body: the exact bytes that are sent.
    """
    signed = f"{timestamp}.{request_id}.".encode() + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def signed_headers(secret: str, body: bytes, request_id: UUID, now: datetime) -> Mapping[str, str]:
    """Return the headers that sign a request; made anew for each attempt."""
    timestamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: timestamp,
        REQUEST_ID_HEADER: str(request_id),
        SIGNATURE_HEADER: signature_of(secret, timestamp, str(request_id), body),
    }


def verified(headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: datetime) -> UUID | None:
    """Return the id of a request that one of the secrets signs and that is of now; None for any other.

    Whoever takes it has to refuse an id that it has seen before: the same request came twice.

    Args:
        headers: of the request; looked up by the names of this module.
        body: the exact bytes that came.
        secrets: the valid ones; all are tried, so that the time taken tells nothing.
        now: our time.
    """
    timestamp, request_id = headers.get(TIMESTAMP_HEADER, ""), headers.get(REQUEST_ID_HEADER, "")
    given = headers.get(SIGNATURE_HEADER, "")
    if not (_SECONDS.fullmatch(timestamp) and _HEX.fullmatch(given) and request_id.isascii()):
        return None
    matches = [hmac.compare_digest(signature_of(one, timestamp, request_id, body), given) for one in secrets if one]
    if not any(matches) or abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        return None
    return _uuid(request_id)


def _uuid(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    # Other spellings of one id would make it look new.
    return found if str(found) == text else None
