"""Watching the messages that an account may send in a month: counted as they are reported, told of before they end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import usage_rows
from conversation_service.adapters.alerts import write_alert
from conversation_service.adapters.conversations import lock_conversation
from conversation_service.adapters.store import Store
from conversation_service.domain.alerts import AlertDetails, AlertKind
from conversation_service.domain.deliveries import Delivery, Failed, Report, Sent
from conversation_service.domain.floor import Priority
from conversation_service.domain.usage import (
    USED_UP,
    USED_UP_REASON,
    QuotaAlarm,
    Usage,
    counted_pieces,
    month_of,
    reached,
)
from conversation_service.use_cases.account_rules import account_of
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import gauge

SENT = gauge("monthly_messages_sent", "Messages of this month that Kommo counts.", ("account_id",))
LEFT = gauge("monthly_messages_left", "Messages that the account may still send this month.", ("account_id",))

SHOWN_EVERY_SECONDS = 60.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class QuotaWatch:
    """Counts messages and tells of the levels that they reach.

    Args:
        accounts: the accounts, which say how many messages each may send.
        new_id: makes ids of deliveries.
    """

    accounts: Accounts
    new_id: Callable[[], UUID]

    def count(
        self, connection: Connection, before: Delivery, after: Delivery, report: Report, now: datetime
    ) -> QuotaAlarm | None:
        """Count what a report has shown to be sent; return the level that was reached by it, told of in the outbox.

        Args:
            connection: the transaction of the report, which holds the conversation's lock.
            before: the delivery before the report.
            after: the same after it.
            report: what the worker said.
            now: the time of the transaction.
        """
        pieces, is_used_up = counted_pieces(before, after), _says_used_up(report)
        if not pieces and not is_used_up:
            return None
        usage = usage_rows.add_messages(connection, after.account_id, month_of(now), pieces)
        account = account_of(self.accounts, after.account_id)
        percent = reached(usage, account.monthly_message_quota, is_used_up=is_used_up)
        if percent is None:
            return None
        usage_rows.set_alarmed(connection, usage, percent)
        if account.handoff.alert_url:
            self._write_alert(connection, after, percent, now)
        return QuotaAlarm(usage, percent, account.monthly_message_quota)

    def _write_alert(self, connection: Connection, delivery: Delivery, percent: int, now: datetime) -> None:
        is_over = percent == USED_UP
        details = AlertDetails(
            kind=AlertKind.QUOTA,
            reason=USED_UP_REASON if is_over else f"quota_{percent}_percent",
            priority=Priority.CRITICAL if is_over else Priority.HIGH,
            since_at=now,
        )
        # Read again: what the report has written since changed the number of the next delivery.
        conversation = lock_conversation(connection, delivery.conversation_id)
        write_alert(connection, conversation, details, now, new_id=self.new_id)


def tell(alarm: QuotaAlarm) -> None:
    """Log a level that was reached, once its transaction is durable."""
    account_id, messages, quota = alarm.usage.account_id, alarm.usage.messages, alarm.quota
    if alarm.percent == USED_UP:
        log.error("quota.used_up", account_id=account_id, messages=messages, quota=quota)
    else:
        log.warning("quota.level_reached", account_id=account_id, percent=alarm.percent, messages=messages, quota=quota)


async def usage_now(store: Store, account_id: str) -> Usage:
    """Return what an account has used in the current month."""
    return await store.read(lambda connection, now: usage_rows.usage_of(connection, account_id, month_of(now)))


async def show_usages(store: Store, accounts: Accounts) -> None:
    """Set the gauges of all accounts to what the database knows of the current month."""
    found = await store.read(lambda connection, now: usage_rows.usages(connection, month_of(now)))
    by_account = {usage.account_id: usage.messages for usage in found}
    # What is shown of accounts and limits that are gone would be shown for ever.
    SENT.clear()
    LEFT.clear()
    for account in accounts:
        messages = by_account.get(account.id, 0)
        SENT.labels(account.id).set(messages)
        if account.monthly_message_quota is not None:
            LEFT.labels(account.id).set(max(0, account.monthly_message_quota - messages))


@asynccontextmanager
async def shown_usages(
    store: Store, accounts: Accounts, every_seconds: float = SHOWN_EVERY_SECONDS
) -> AsyncIterator[None]:
    """Keep the gauges of all accounts near to what the database knows, while inside."""

    async def show_again_and_again() -> None:
        while True:
            try:
                await show_usages(store, accounts)
            except Exception:  # what cannot be read now is read the next time
                log.exception("usage_gauges.failed")
            await asyncio.sleep(every_seconds)

    task = asyncio.create_task(show_again_and_again(), name="usage-gauges")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _says_used_up(report: Report) -> bool:
    if isinstance(report, Sent):
        return report.is_quota_used_up
    return isinstance(report, Failed) and report.reason == USED_UP_REASON
