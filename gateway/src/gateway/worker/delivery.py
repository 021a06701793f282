"""One delivery and those that follow it in its conversation: sent, reported, the next one taken."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.worker import alerts, hand_offs, metrics, proofs, relays, reports
from gateway.worker.backoff import lease_seconds
from gateway.worker.circuit import Circuit
from gateway.worker.pace import Pace, keep_trying, unless
from gateway.worker.reports import Report
from gateway.worker.settings import WorkerSettings
from kommomesh.conversation.v1.outbox_service_pb2 import (
    LeasedDelivery,
    ReportDeliveryResponse,
    RetryReport,
    SentReport,
)
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger

if TYPE_CHECKING:
    from kommomesh.conversation.v1.outbox_service_pb2_grpc import OutboxServiceAsyncStub
    from kommomesh.kommo.v1.channel_service_pb2_grpc import ChannelServiceAsyncStub
    from kommomesh.kommo.v1.kommo_service_pb2_grpc import KommoServiceAsyncStub

# A success is evidence and is kept after the lease too, so it is worth reporting for longer.
EVIDENCE_SECONDS = 60.0
# A send ends that much before the lease, so that its report still counts.
REPORT_MARGIN_SECONDS = 2.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Sends deliveries through kommo-service and reports what became of them.

    Args:
        outbox: takes the reports.
        kommo: sends.
        channels: carries between relays and Kommo.
        circuit: whether kommo-service answers.
        settings: settings of the worker.
        pace: when to rest and to stop.
        now: returns the time.
    """

    outbox: "OutboxServiceAsyncStub"
    kommo: "KommoServiceAsyncStub"
    channels: "ChannelServiceAsyncStub"
    circuit: Circuit
    settings: WorkerSettings
    pace: Pace
    now: Callable[[], datetime]

    @property
    def is_ready(self) -> bool:
        """Whether one more delivery may be taken."""
        return not self.circuit.is_open and not self.pace.stop.is_set()

    @property
    def is_ready_in_place(self) -> bool:
        """Whether who completes a turn may deliver its reply at once."""
        return self.settings.delivery_in_place and self.is_ready

    async def deliver(self, first: LeasedDelivery) -> None:
        """Send a delivery and, in order, those of its conversation that its reports hand over."""
        held: LeasedDelivery | None = first
        while held is not None:
            held = await self._attempt(held)

    async def _attempt(self, leased: LeasedDelivery) -> LeasedDelivery | None:
        seconds = lease_seconds(leased.lease_expire_time, self.now())
        report = await self._sent(leased, seconds)
        outcome = reports.outcome_of(report)
        metrics.DELIVERIES.labels(outcome).inc()
        log.info(
            "delivery.attempted",
            delivery_id=leased.delivery.id,
            conversation_id=leased.delivery.conversation_id,
            outcome=outcome,
            attempt=leased.delivery.attempt_count,
            reason=getattr(report, "reason", ""),
        )
        return await self._reported(leased, report)

    async def _sent(self, leased: LeasedDelivery, seconds: float) -> Report:
        try:
            report = await unless(self.pace.hurry, self._asked(leased, seconds - REPORT_MARGIN_SECONDS))
        except RemoteError as error:
            self.circuit.record(error.code)
            return reports.of_error(error, was_unclear=leased.HasField("unclear_since_time"))
        if report is None:
            return RetryReport(reason="worker_stopped", is_unclear=True)
        self.circuit.record("OK")
        return report

    async def _asked(self, leased: LeasedDelivery, timeout: float) -> Report:
        if hand_offs.is_action(leased):
            request = hand_offs.hand_off_request(leased)
            return hand_offs.of_hand_off(leased, await self.kommo.HandOff(request, timeout=timeout))
        if relays.is_of_channel(leased):
            return await relays.carried(self.channels, leased, timeout)
        if alerts.is_alert(leased):
            return alerts.of_alert(await self.kommo.SendAlert(alerts.alert_request(leased), timeout=timeout))
        if proofs.is_proof(leased):
            return proofs.of_proof(await self.kommo.GetDeliveryProof(proofs.proof_request(leased), timeout=timeout))
        return reports.of_response(await self.kommo.SendMessage(reports.send_request(leased), timeout=timeout))

    async def _reported(self, leased: LeasedDelivery, report: Report) -> LeasedDelivery | None:
        """Report an attempt for as long as that counts, and return the next delivery that was handed over for it."""

        async def call() -> ReportDeliveryResponse:
            worker_id = self.settings.worker_id if self.is_ready else ""
            return await self.outbox.ReportDelivery(reports.report_request(leased, report, worker_id))

        seconds = lease_seconds(leased.lease_expire_time, self.now())
        if isinstance(report, SentReport):
            seconds += EVIDENCE_SECONDS
        try:
            response = await keep_trying(call, seconds=seconds, pace=self.pace)
        except RemoteError as error:
            # The lease ends without a known outcome, so the next attempt reads back before it sends.
            metrics.ERRORS.labels("deliveries").inc()
            log.warning("delivery_report.failed", delivery_id=leased.delivery.id, code=error.code, reason=error.reason)
            return None
        return response.next if response.HasField("next") else None
