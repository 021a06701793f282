"""Ids that sort by the time of their making."""

from collections.abc import Callable
from uuid import UUID

COUNTER_BITS = 12
RANDOM_BITS = 62


class TimeOrderedIds:
    """Makes UUIDs of version 7, each greater than the one before.

    Kommo tells whole seconds, so that the messages of a burst often carry the same time: what came first is then
    told by the id alone.

    Args:
        milliseconds: gives the time since 1970.
        random_bits: gives so many random bits.

    Source: RFC 9562, section 5.7, with the counter of section 6.2, method 1.
    """

    def __init__(self, milliseconds: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        self._milliseconds = milliseconds
        self._random_bits = random_bits
        self._last = 0

    def __call__(self) -> UUID:
        """Return the next id."""
        # Time and counter are one number: a counter that is used up borrows from the next millisecond.
        self._last = max(self._milliseconds() << COUNTER_BITS, self._last + 1)
        moment, counter = divmod(self._last, 1 << COUNTER_BITS)
        bits = (moment << 80) | (7 << 76) | (counter << 64) | (2 << RANDOM_BITS) | self._random_bits(RANDOM_BITS)
        return UUID(int=bits)
