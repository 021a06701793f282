"""Reading request fields and writing response fields, alike in every servicer."""

import base64
import binascii
import json
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kommomesh_runtime.errors import InvalidArgument


def parse_uuid(field: str, value: str) -> UUID:
    """Return `value` as a UUID.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        return UUID(value)
    except ValueError:
        raise InvalidArgument(field=field, problem="must be a UUID") from None


def require_text(field: str, value: str, *, maximum: int = 4096) -> str:
    """Return `value`.

    Args:
        field: name of the field, for the error.
        value: the text.
        maximum: most characters allowed.

    Raises:
        InvalidArgument: it is empty, blank or too long.
    """
    if not value.strip():
        raise InvalidArgument(field=field, problem="is required")
    if len(value) > maximum:
        raise InvalidArgument(field=field, problem=f"must have at most {maximum} characters")
    return value


def page_size(value: int, *, default: int = 50, maximum: int = 200) -> int:
    """Return the size of a page; 0 means the default.

    Raises:
        InvalidArgument: it is negative or above the maximum.
    """
    if not 0 <= value <= maximum:
        raise InvalidArgument(field="page_size", problem=f"must be 0 to {maximum}")
    return value or default


def encode_page_token(*parts: str) -> str:
    """Return an opaque token that names the place after `parts`."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def decode_page_token(token: str, parts: int) -> tuple[str, ...] | None:
    """Return the parts of a token; None for the empty one.

    Raises:
        InvalidArgument: it was not made by `encode_page_token` with so many parts.
    """
    if not token:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, list) or len(found) != parts or not all(isinstance(part, str) for part in found):
        raise InvalidArgument(field="page_token", problem="must be a next_page_token of the same list")
    return tuple(found)


def to_time(timestamp: Timestamp) -> datetime | None:
    """Return an aware UTC time; None when the timestamp is unset.

    Raises:
        InvalidArgument: it is outside of what a time can be.
    """
    if timestamp.seconds == 0 and timestamp.nanos == 0:
        return None
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(field="time", problem="is out of range") from None


def from_time(time: datetime | None) -> Timestamp | None:
    """Return the timestamp of an aware time; None stays None."""
    if time is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def to_seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def from_seconds(seconds: float) -> Duration:
    """Return seconds as a duration."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
