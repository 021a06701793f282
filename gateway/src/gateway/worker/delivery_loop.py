"""The delivery loop: picks up what was not delivered in place."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.worker.delivery import Deliverer
from gateway.worker.leasing import Leasing
from kommomesh.conversation.v1.outbox_service_pb2 import LeasedDelivery, LeaseDeliveriesRequest
from kommomesh_runtime.parsing import from_seconds

POLL_MARGIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DeliveryPicker:
    """Leases deliveries, few and slowly while kommo-service is down.

    Args:
        deliverer: sends them.
    """

    deliverer: Deliverer

    async def lease(self, most: int) -> Sequence[LeasedDelivery]:
        """Return at most so many deliveries that are due, waiting for some time when there are none."""
        circuit, pace, settings = self.deliverer.circuit, self.deliverer.pace, self.deliverer.settings
        if circuit.is_open:
            await pace.rest(pace.stop, circuit.pause_seconds(pace.draw()))
            most = 1
        if pace.stop.is_set():
            return ()
        request = LeaseDeliveriesRequest(
            worker_id=settings.worker_id,
            max_deliveries=most,
            wait_duration=from_seconds(settings.lease_wait_seconds),
        )
        timeout = settings.lease_wait_seconds + POLL_MARGIN_SECONDS
        response = await self.deliverer.outbox.LeaseDeliveries(request, timeout=timeout)
        return response.deliveries


def delivery_loop(deliverer: Deliverer) -> Leasing[LeasedDelivery]:
    """Return the loop that delivers until the worker stops."""
    settings = deliverer.settings
    return Leasing(
        name="deliveries",
        lease=DeliveryPicker(deliverer).lease,
        work=deliverer.deliver,
        limit=settings.max_deliveries_in_flight,
        early_seconds=min(0.5, settings.lease_wait_seconds / 2),
        pace=deliverer.pace,
    )
