"""The messages that an account has sent in a month, and how near that is to what it may send."""

from dataclasses import dataclass
from datetime import UTC, datetime

from conversation_service.domain.deliveries import Delivery, DeliveryState

# The transport whose messages Kommo counts.
COUNTED_TRANSPORT = "talk_message"
# Percent of the month's messages that somebody has to hear of before they end.
LEVELS = (80, 95)
USED_UP = 100
USED_UP_REASON = "quota_used_up"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account has used in a month.

    Args:
        account_id: the account.
        month: such as `2026-11`, in UTC.
        messages: messages that Kommo counts.
        alarmed_percent: the highest level that was told of; 0 when none was.
    """

    account_id: str
    month: str
    messages: int = 0
    alarmed_percent: int = 0


@dataclass(frozen=True, slots=True)
class QuotaAlarm:
    """A level that was reached just now; `quota` is None where the account file names none."""

    usage: Usage
    percent: int
    quota: int | None


def month_of(now: datetime) -> str:
    """Return the calendar month of a time.

    Source: Kommo, Chats API add-on: the quota counts by month; its time zone is not documented, so UTC is taken.
    """
    return now.astimezone(UTC).strftime("%Y-%m")


def counted_pieces(before: Delivery, after: Delivery) -> int:
    """Return how many messages of Kommo's count became known with a report.

    A delivery whose echo overtook its report is counted by the report, which names the transport. Kommo gives an id to
    each piece; where it gave none there was one at least.
    """
    return max(0, _pieces(after) - _pieces(before))


def _pieces(delivery: Delivery) -> int:
    if delivery.state is not DeliveryState.SENT or delivery.transport != COUNTED_TRANSPORT:
        return 0
    return max(1, len(delivery.kommo_message_ids))


def reached(usage: Usage, quota: int | None, *, is_used_up: bool) -> int | None:
    """Return the level that has to be told of now; None when there is none, or it was told of before.

    Args:
        usage: the month so far.
        quota: messages that the account may send in a month; None when it is not watched.
        is_used_up: Kommo has said that none is left, which counts more than what we have counted.
    """
    levels = [level for level in LEVELS if quota is not None and usage.messages * 100 >= quota * level]
    level = USED_UP if is_used_up else max(levels, default=0)
    return level if level > usage.alarmed_percent else None
