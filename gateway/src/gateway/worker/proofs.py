"""What is asked of kommo-service for the proof of messages, and what its answer means; pure."""

from gateway.worker.reports import Report
from kommomesh.conversation.v1 import conversation_pb2 as conversation
from kommomesh.conversation.v1.outbox_service_pb2 import (
    AwaitedMessage,
    FailedReport,
    LeasedDelivery,
    LookedReport,
    ProofFinding,
    RetryReport,
)
from kommomesh.kommo.v1 import delivery_proof_pb2 as kommo

STATES = {
    kommo.DELIVERY_STATUS_SENT: conversation.PROOF_STATE_ACCEPTED,
    kommo.DELIVERY_STATUS_DELIVERED: conversation.PROOF_STATE_DELIVERED,
    kommo.DELIVERY_STATUS_READ: conversation.PROOF_STATE_READ,
    kommo.DELIVERY_STATUS_ERROR: conversation.PROOF_STATE_FAILED,
}
DELIVERY_ERROR = "delivery_error"


def is_proof(leased: LeasedDelivery) -> bool:
    """Tell whether a delivery is a look for messages that Kommo has accepted."""
    return leased.delivery.kind == conversation.DELIVERY_KIND_PROOF


def proof_request(leased: LeasedDelivery) -> kommo.GetDeliveryProofRequest:
    """Return the request that looks for the messages of a leased proof."""
    return kommo.GetDeliveryProofRequest(
        account_id=leased.delivery.account_id,
        chat_id=leased.chat_id,
        talk_id=leased.talk_id,
        contact_id=leased.contact_id,
        origin=leased.origin,
        messages=[_sought(one) for one in leased.awaited_messages],
        search_other_talks=leased.is_last_look,
        claimed_kommo_message_ids=leased.claimed_kommo_message_ids,
    )


def of_proof(response: kommo.GetDeliveryProofResponse) -> Report:
    """Return the report of what Kommo's record says; one that cannot be read now is tried again."""
    if not response.failure_reason:
        return LookedReport(findings=[_finding(one) for one in response.proofs])
    if not response.HasField("retry_after"):
        return FailedReport(reason=response.failure_reason)
    return RetryReport(reason=response.failure_reason, retry_after=response.retry_after)


def _sought(message: AwaitedMessage) -> kommo.SoughtMessage:
    return kommo.SoughtMessage(
        delivery_id=message.delivery_id,
        transport=message.transport,
        kommo_message_ids=message.kommo_message_ids,
        text=message.text,
        send_time=message.send_time,
    )


def _finding(proof: kommo.DeliveryProof) -> ProofFinding:
    reason = ""
    if proof.status == kommo.DELIVERY_STATUS_ERROR:
        reason = f"{DELIVERY_ERROR}_{proof.error_code}" if proof.error_code else DELIVERY_ERROR
    return ProofFinding(
        delivery_id=proof.delivery_id,
        state=STATES.get(proof.status, conversation.PROOF_STATE_UNSPECIFIED),
        source=proof.source,
        reason=reason,
        kommo_message_ids=proof.kommo_message_ids,
    )
