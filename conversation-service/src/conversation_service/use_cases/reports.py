"""What a worker's report makes of a delivery, of its work and of its conversation."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows
from conversation_service.adapters.delivery_rows import advance, give_up, settle, skip
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.outbox_rows import DeliveryWork
from conversation_service.domain.backoff import backoff_seconds
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    LEASE,
    Delivery,
    DeliveryLeaseLost,
    DeliveryState,
    Failed,
    Report,
    Retry,
    Sent,
    Skipped,
    is_given_up,
    unclear_after_retry,
)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Carries out reports.

    Args:
        jitter: a random number, 0 to 1, for the backoff.
        max_attempts: attempts after which a delivery is given up.
        escalator: calls a person for what is given up.
    """

    jitter: float
    max_attempts: int
    escalator: Escalator

    def report(
        self,
        connection: Connection,
        conversation: Conversation,
        delivery: Delivery,
        lease_id: UUID,
        report: Report,
        now: datetime,
    ) -> Delivery:
        """Return the delivery after a report; see `OutboxUseCases.report_delivery`."""
        if isinstance(report, Sent):
            if report.talk_id:
                outbox_rows.use_talk(connection, conversation.id, report.talk_id)
            return settle(connection, delivery, report, now)
        if delivery.state is not DeliveryState.PENDING:
            return delivery
        work = outbox_rows.lock_work(connection, conversation.id, delivery.lane)
        if work is None or (work.delivery_id, work.lease_id) != (delivery.id, lease_id):
            raise DeliveryLeaseLost(delivery_id=str(delivery.id))
        if work.leased_until is None:
            # The same report came before: the work keeps the name of its last lease until the next one.
            return delivery
        if isinstance(report, Skipped):
            return skip(connection, delivery, report.reason, now)
        if isinstance(report, Failed) or is_given_up(delivery, self.max_attempts):
            _, dead = give_up(connection, conversation, delivery, report.reason, self.escalator, now)
            advance(connection, dead, now)
            return dead
        return self._again(connection, delivery, work, report, now)

    def _again(
        self, connection: Connection, delivery: Delivery, work: DeliveryWork, report: Retry, now: datetime
    ) -> Delivery:
        wait = backoff_seconds(delivery.attempt_count, self.jitter, at_least=report.retry_after)
        began_at = now if work.leased_until is None else work.leased_until - LEASE
        unclear_since = unclear_after_retry(delivery, began_at, is_unclear=report.is_unclear)
        waiting = replace(delivery, reason=report.reason, unclear_since_at=unclear_since)
        outbox_rows.save_deliveries(connection, [waiting])
        outbox_rows.save_work(connection, [replace(work, due_at=now + timedelta(seconds=wait), leased_until=None)])
        return waiting
