"""The time that is left for the work at hand, carried from call to call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MARGIN_SECONDS = 0.05

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


def time_left() -> float | None:
    """Return the seconds that are left, not below 0; None when there is no limit."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


@contextmanager
def budget(seconds: float | None) -> Iterator[None]:
    """Let the work inside take at most `seconds`, and never more than what is left outside."""
    outer = _ends_at.get()
    inner = None if seconds is None else time.monotonic() + seconds
    ends = [end for end in (outer, inner) if end is not None]
    token = _ends_at.set(min(ends) if ends else None)
    try:
        yield
    finally:
        _ends_at.reset(token)


def call_timeout(limit_seconds: float | None) -> float | None:
    """Return the timeout of an outgoing call: the smaller of its limit and the time left minus a margin.

    Args:
        limit_seconds: the call's own limit; None when it has none.
    """
    left = time_left()
    if left is None:
        return limit_seconds
    left = max(0.001, left - MARGIN_SECONDS)
    return left if limit_seconds is None else min(left, limit_seconds)
