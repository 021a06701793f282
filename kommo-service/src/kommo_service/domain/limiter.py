"""How many requests an account may make, and how long it rests after Kommo said no."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from kommomesh_runtime.errors import ResourceExhausted

# Requests that leave evenly may arrive closer together, so our second is a little longer than Kommo's.
MARGIN_SECONDS = 0.05
READ_SHARE = 0.5
REFUSED_PAUSE_SECONDS = (1.0, 60.0)
BANNED_PAUSE_SECONDS = (30.0, 600.0)


class KommoRateLimited(ResourceExhausted):
    """The account has no request left at this moment; nothing was sent."""

    reason = "KOMMO_RATE_LIMITED"
    text = "account {account_id} has no request to Kommo left at this moment"


class Use(Enum):
    """What a request is for: each use leaves room for the other."""

    SEND = "send"
    READ = "read"


class Refusal(Enum):
    """How Kommo refused: too many requests, or a block of the address."""

    TOO_MANY = "too_many"
    BANNED = "banned"


def pause_seconds(refusal: Refusal, strikes: int, jitter: float) -> float:
    """Return how long to rest after a refusal.

    Args:
        refusal: how Kommo refused.
        strikes: refusals in a row before this one.
        jitter: 0 to 1; spreads replicas that were refused together.

    Source: Kommo limitations; no Retry-After is documented.
    """
    first, longest = REFUSED_PAUSE_SECONDS if refusal is Refusal.TOO_MANY else BANNED_PAUSE_SECONDS
    return min(longest, first * 2.0 ** min(strikes, 16)) * (1.0 + 0.5 * jitter)


@dataclass(slots=True)
class Limiter:
    """Allows at most `rate` requests in any second, `rate` of them at once, and never waits.

    Sends and reads share the second. Reads may fill a part of it only, and one place is kept for them, so
    that neither starves the other. All times are seconds of one growing clock.

    Args:
        rate: requests per second; below 1 it is one request in so many seconds.
    """

    rate: float
    paused_until: float = float("-inf")
    strikes: int = 0
    _taken: deque[tuple[float, Use]] = field(default_factory=deque)

    def take(self, use: Use, count: int, now: float) -> float:
        """Take `count` requests together and return 0, or take nothing and return the seconds to wait."""
        if now < self.paused_until:
            return self.paused_until - now
        self._forget(now)
        wait = self._wait(use, count, now)
        if wait == 0.0:
            self.note(use, count, now)
        return wait

    def note(self, use: Use, count: int, now: float) -> None:
        """Count requests that are made in any case, such as the next page of a reading once begun."""
        self._taken.extend([(now, use)] * count)

    def pause(self, refusal: Refusal, now: float, jitter: float) -> float:
        """Rest because Kommo refused, longer each time; return for how long from now."""
        if now >= self.paused_until:
            self.paused_until = now + pause_seconds(refusal, self.strikes, jitter)
            self.strikes += 1
        return self.paused_until - now

    def relax(self, now: float) -> None:
        """Forget earlier refusals: Kommo took a request after the pause."""
        if now >= self.paused_until:
            self.strikes = 0

    @property
    def _capacity(self) -> int:
        return max(1, int(self.rate))

    @property
    def _window(self) -> float:
        return self._capacity / self.rate + MARGIN_SECONDS

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] <= now - self._window:
            self._taken.popleft()

    def _wait(self, use: Use, count: int, now: float) -> float:
        own = [at for at, taken_for in self._taken if taken_for is use]
        blocking = (
            _blocking([at for at, _ in self._taken], self._capacity, count),
            _blocking(own, self._share(use), count),
        )
        return max((at + self._window - now for at in blocking if at is not None), default=0.0)

    def _share(self, use: Use) -> int:
        if self._capacity == 1:
            return 1
        return max(1, int(self._capacity * READ_SHARE)) if use is Use.READ else self._capacity - 1


def _blocking(taken: list[float], room: int, count: int) -> float | None:
    """Return the time whose leaving makes room for `count` more; more than the room needs it empty."""
    too_many = len(taken) + min(count, room) - room
    return taken[too_many - 1] if too_many > 0 else None
