"""When somebody of a business is there: spans of local time, day by day, and time counted in them alone; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = timedelta(days=1)

# Times of one day between which somebody is there: from the first, up to the second.
Span = tuple[time, time]
# The same on one day, in UTC.
Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """The weekly hours of a business; without any it is always open.

    Args:
        timezone: IANA name of its time zone.
        spans: by English weekday; a day that is left out is closed.
    """

    timezone: str
    spans: Mapping[str, Sequence[Span]]

    def is_open(self, at: datetime) -> bool:
        """Tell whether somebody is there.

        Args:
            at: an aware time.
        """
        return not self.spans or any(begins <= at < ends for begins, ends in self._of_day(self._day_of(at)))

    def next_opening(self, at: datetime) -> datetime | None:
        """Return when it opens next after a time, in local time; None where it never closes or never opens.

        Args:
            at: an aware time.
        """
        later = (begins for begins, _ in self._from(at, 8 * DAY) if begins > at)
        opening = next(later, None)
        return None if opening is None else opening.astimezone(ZoneInfo(self.timezone))

    def after(self, at: datetime, seconds: float) -> datetime:
        """Return when so much time with somebody there has passed since a time, in UTC.

        Where nobody is ever there every time counts: somebody has to hear of it all the same.

        Args:
            at: an aware time.
            seconds: 0 or more.
        """
        left = timedelta(seconds=seconds)
        if not any(self.spans.values()):
            return at.astimezone(UTC) + left
        # Every week has some open time, so that this comes to an end.
        for begins, ends in self._from(at, None):
            counted_from = max(begins, at.astimezone(UTC))
            if ends - counted_from >= left:
                return counted_from + left
            left -= max(ends - counted_from, timedelta(0))
        raise AssertionError("the weeks do not end")

    def _from(self, at: datetime, within: timedelta | None) -> Iterator[Period]:
        """Give the open periods, in order, from the day of a time on; without an end where `within` is None."""
        day = self._day_of(at)
        last = None if within is None else day + within
        while last is None or day <= last:
            yield from self._of_day(day)
            day += DAY

    def _day_of(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.timezone)).date()

    def _of_day(self, day: date) -> list[Period]:
        zone = ZoneInfo(self.timezone)
        return _joined(
            (datetime.combine(day, opens, zone).astimezone(UTC), datetime.combine(day, closes, zone).astimezone(UTC))
            for opens, closes in self.spans.get(WEEKDAYS[day.weekday()], ())
        )


def _joined(periods: Iterable[Period]) -> list[Period]:
    """Return periods in order, those that touch as one, so that no time counts twice.

    Where a clock goes forward a period may have no time at all; it is left out.
    """
    joined: list[Period] = []
    for begins, ends in sorted(one for one in periods if one[0] < one[1]):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return joined
