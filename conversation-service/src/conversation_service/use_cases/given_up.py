"""What an operator is told of deliveries that end: dead letters, and messages whose proof is decided."""

from collections.abc import Iterable

from conversation_service.domain.deliveries import Delivery, DeliveryState
from conversation_service.domain.proof import Proof, ProofState
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import counter

REPORTED = counter("deliveries_reported_total", "Deliveries that were reported or given up.", ("state",))
PROOFS = counter("delivery_proofs_total", "Messages whose proof was decided by a look.", ("state", "source"))

log = get_logger()


def count_reported(state: DeliveryState) -> None:
    """Count a report by the state of the delivery after it."""
    REPORTED.labels(state.value).inc()


def note_dead(delivery: Delivery) -> None:
    """Tell of a delivery that a report has made a dead letter."""
    log.warning("delivery.given_up", delivery_id=str(delivery.id), kind=delivery.kind.value, reason=delivery.reason)


def note_given_up(deliveries: Iterable[Delivery]) -> None:
    """Count and tell of deliveries that had become too old while they waited."""
    for one in deliveries:
        count_reported(one.state)
        note_dead(one)


def note_proofs(messages: Iterable[Delivery]) -> None:
    """Count and tell of messages whose proof a look has decided; what did not arrive, or cannot be told, loudly."""
    for one in messages:
        proof = one.proof
        if proof is None:
            continue
        PROOFS.labels(proof.state.value, proof.source or "none").inc()
        is_fine = proof.state is not ProofState.FAILED and not proof.reason
        if is_fine:
            log.info("delivery.proved", **_fields(one, proof))
        else:
            log.warning("delivery.proved", **_fields(one, proof))


def _fields(message: Delivery, proof: Proof) -> dict[str, str]:
    return {
        "delivery_id": str(message.id),
        "conversation_id": str(message.conversation_id),
        "state": proof.state.value,
        "source": proof.source,
        "reason": proof.reason,
    }
