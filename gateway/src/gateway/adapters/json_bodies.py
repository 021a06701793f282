"""Reads JSON bodies within bounds."""

import re
from typing import Any

import msgspec

from gateway.domain.events import EventsError

MAX_DEPTH = 32
# Five hundred messages with all their fields are a fifth of it.
MAX_VALUES = 50_000
# Half of a character beyond the first plane, which is left where a text was cut in the middle of an emoji.
HALF_CHARACTER = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
UNKNOWN_CHARACTER = rb"\ufffd"


def _check_size(value: Any) -> None:
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_VALUES:
            raise EventsError("too_many_values", is_too_large=True)
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    if any(isinstance(value, dict | list) for value in level):
        raise EventsError("too_deep")


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError:
        return _decode(body.decode("utf-8", "replace").encode())
    except msgspec.DecodeError:
        whole = HALF_CHARACTER.sub(lambda _match: UNKNOWN_CHARACTER, body)
        if whole == body:
            raise
        return _decode(whole)


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object of a JSON body; invalid UTF-8 and halves of characters are replaced.

    Raises:
        EventsError: it is no JSON (`not_json`), no object (`not_an_object`), nested too deep (`too_deep`) or holds more
            values than are looked at (`too_many_values`).
    """
    try:
        value = _decode(body.removeprefix(b"\xef\xbb\xbf"))
    except RecursionError:
        raise EventsError("too_deep") from None
    except (msgspec.MsgspecError, ValueError):
        raise EventsError("not_json") from None
    if not isinstance(value, dict):
        raise EventsError("not_an_object")
    _check_size(value)
    return value
