"""Kommo's request limits: 429 above the rate, a ban in HTML for those who go on, and the monthly quota."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

RATE_WINDOW_SECONDS = 1.0
REFUSAL_WINDOW_SECONDS = 10.0

TOO_MANY_PAGE = b"<html><head><title>429 Too Many Requests</title></head><body></body></html>"
FORBIDDEN_PAGE = (
    b"<html><head><title>403 Forbidden</title></head><body><center><h1>403 Forbidden</h1></center>"
    b"<hr><center>nginx</center></body></html>"
)


class Verdict(Enum):
    """What happens to a request."""

    ALLOWED = "allowed"
    TOO_MANY = "too_many"
    BANNED = "banned"


@dataclass(slots=True)
class _Caller:
    allowed_at: deque[float] = field(default_factory=deque)
    refused_at: deque[float] = field(default_factory=deque)
    banned_until: float = float("-inf")


class RateLimit:
    """Counts the requests of each caller in a sliding second."""

    def __init__(self, rate: int, ban_after: int, ban_seconds: float, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._ban_after = ban_after
        self._ban_seconds = ban_seconds
        self._clock = clock
        self._callers: dict[str, _Caller] = {}

    def reset(self) -> None:
        """Forget all requests and bans."""
        self._callers.clear()

    def verdict(self, key: str) -> Verdict:
        """Count a request of the caller `key` and tell what happens to it."""
        if self.rate == 0:
            return Verdict.ALLOWED
        now, caller = self._clock(), self._callers.setdefault(key, _Caller())
        if now < caller.banned_until:
            return Verdict.BANNED
        _drop_before(caller.allowed_at, now - RATE_WINDOW_SECONDS)
        if len(caller.allowed_at) < self.rate:
            caller.allowed_at.append(now)
            return Verdict.ALLOWED
        _drop_before(caller.refused_at, now - REFUSAL_WINDOW_SECONDS)
        caller.refused_at.append(now)
        if len(caller.refused_at) > self._ban_after:
            caller.refused_at.clear()
            caller.banned_until = now + self._ban_seconds
            return Verdict.BANNED
        return Verdict.TOO_MANY


class Quota:
    """Counts the messages sent in a calendar month."""

    def __init__(self, quota: int, now: Callable[[], float]) -> None:
        self.quota = quota
        self._now = now
        self._used: dict[str, int] = {}

    def reset(self) -> None:
        """Start the month again."""
        self._used.clear()

    def set_used(self, used: int) -> None:
        """Pretend that so many messages were sent this month."""
        self._used[self._month()] = used

    @property
    def used(self) -> int:
        """Messages sent this month."""
        return self._used.get(self._month(), 0)

    def take(self) -> bool:
        """Use one message of the quota; false when it is used up."""
        if self.quota and self.used >= self.quota:
            return False
        self._used[self._month()] = self.used + 1
        return True

    def _month(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m")


def _drop_before(times: deque[float], limit: float) -> None:
    while times and times[0] <= limit:
        times.popleft()
