"""What a worker's report makes of a delivery, of its work and of its conversation."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, relay_rows
from conversation_service.adapters.delivery_rows import advance, give_up, settle, skip
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.outbox_rows import DeliveryWork
from conversation_service.adapters.proof_rows import Proved, Prover
from conversation_service.domain.backoff import backoff_seconds
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.deliveries import (
    LEASE,
    PACKAGE_KINDS,
    Delivery,
    DeliveryLeaseLost,
    DeliveryState,
    Failed,
    Looked,
    Opened,
    Report,
    Retry,
    Sent,
    Skipped,
    is_given_up,
    unclear_after_retry,
)
from conversation_service.domain.proof import DEFAULT_LOOKS, Looks
from conversation_service.domain.waiting import PACKAGE_PATIENCE


@dataclass(frozen=True, slots=True)
class Reporter:
    """Carries out reports.

    Args:
        jitter: a random number, 0 to 1, for the backoff.
        max_attempts: attempts after which a delivery is given up.
        escalator: calls a person for what is given up.
        looks: when messages are looked for that Kommo has accepted.
    """

    jitter: float
    max_attempts: int
    escalator: Escalator
    looks: Looks = DEFAULT_LOOKS

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
            return settle(connection, delivery, report, now, self.looks)
        if delivery.state is not DeliveryState.PENDING or isinstance(report, Looked):
            return delivery
        work = outbox_rows.lock_work(connection, conversation.id, delivery.lane)
        if work is None or (work.delivery_id, work.lease_id) != (delivery.id, lease_id):
            raise DeliveryLeaseLost(delivery_id=str(delivery.id))
        if work.leased_until is None:
            # The same report came before: the work keeps the name of its last lease until the next one.
            return delivery
        if isinstance(report, Skipped):
            return skip(connection, delivery, report.reason, now)
        if isinstance(report, Opened):
            return _opened(connection, conversation, delivery, work, report, now)
        if isinstance(report, Failed) or is_given_up(delivery, self.max_attempts):
            _, dead = give_up(connection, conversation, delivery, report.reason, self.escalator, now)
            advance(connection, dead, now)
            return dead
        if delivery.kind in PACKAGE_KINDS and now - delivery.created_at > PACKAGE_PATIENCE:
            self.escalator.package_waits(connection, conversation, delivery, report.reason, now)
        return self._again(connection, delivery, work, report, now)

    def report_look(
        self,
        connection: Connection,
        conversation: Conversation,
        look: Delivery,
        lease_id: UUID,
        report: Report,
        now: datetime,
    ) -> Proved:
        """Return what a look came to; one that failed is tried again, for as long as its messages are looked for.

        Raises:
            DeliveryLeaseLost: another worker holds it.
        """
        if look.state is not DeliveryState.PENDING:
            return Proved(look, ())
        work = outbox_rows.lock_work(connection, conversation.id, look.lane)
        if work is None or (work.delivery_id, work.lease_id) != (look.id, lease_id):
            raise DeliveryLeaseLost(delivery_id=str(look.id))
        if work.leased_until is None:
            return Proved(look, ())
        prover = Prover(self.looks, self.escalator)
        if isinstance(report, Looked):
            looked_at = work.leased_until - LEASE
            return prover.after_look(connection, conversation, look, report.findings, looked_at, now)
        reason = report.reason if isinstance(report, Retry | Failed | Skipped) else ""
        if isinstance(report, Retry) and not prover.is_given_up(connection, conversation, look, now):
            return Proved(self._again(connection, look, work, report, now), ())
        return prover.after_failure(connection, conversation, look, reason, now)

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


def _opened(
    connection: Connection,
    conversation: Conversation,
    delivery: Delivery,
    work: DeliveryWork,
    report: Opened,
    now: datetime,
) -> Delivery:
    relay_rows.learn_chat_ref(connection, conversation, report.chat_ref_id)
    # Nothing of the message has been sent, so this was no attempt at it.
    waiting = replace(delivery, attempt_count=delivery.attempt_count - 1, reason="", unclear_since_at=None)
    outbox_rows.save_deliveries(connection, [waiting])
    outbox_rows.save_work(connection, [replace(work, due_at=now, leased_until=None)])
    return waiting
