"""What is asked of kommo-service for a delivery, and what its answer means; pure."""

from gateway.worker.failures import AGAIN_CODES
from kommomesh.conversation.v1.outbox_service_pb2 import (
    FailedReport,
    LeasedDelivery,
    LookedReport,
    OpenedReport,
    ReportDeliveryRequest,
    RetryReport,
    SentReport,
    SkippedReport,
)
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.parsing import from_seconds

# The request may have been carried out although no answer came: a refused connection cannot be told from a lost
# answer, so even UNAVAILABLE is unclear.
UNCLEAR_CODES = AGAIN_CODES | {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED"}
REFUSED_CODES = frozenset({"INVALID_ARGUMENT", "NOT_FOUND"})

Report = SentReport | RetryReport | FailedReport | SkippedReport | LookedReport | OpenedReport


def send_request(leased: LeasedDelivery) -> kommo.SendMessageRequest:
    """Return the request that sends a leased delivery."""
    delivery = leased.delivery
    request = kommo.SendMessageRequest(
        delivery_id=delivery.id,
        account_id=delivery.account_id,
        chat_id=leased.chat_id,
        talk_id=leased.talk_id,
        contact_id=leased.contact_id,
        lead_id=leased.lead_id,
        origin=leased.origin,
        channel=leased.channel,
        contact_name=leased.contact_name,
        text=delivery.text,
        claimed_kommo_message_ids=leased.claimed_kommo_message_ids,
    )
    if leased.HasField("salesbot_continuation"):
        waiting = leased.salesbot_continuation
        request.salesbot_continuation.return_url = waiting.return_url
        request.salesbot_continuation.expire_time.CopyFrom(waiting.expire_time)
    if leased.HasField("start_before_time"):
        request.start_before_time.CopyFrom(leased.start_before_time)
    if leased.HasField("unclear_since_time"):
        request.unclear_since_time.CopyFrom(leased.unclear_since_time)
    return request


def of_response(response: kommo.SendMessageResponse) -> Report:
    """Return the report of what Kommo answered; an outcome that is not known yet is unclear."""
    if response.outcome == kommo.SEND_OUTCOME_SENT:
        ids = [kommo_id for kommo_id in response.kommo_message_ids if kommo_id]
        return SentReport(
            transport=response.transport or "unknown",
            kommo_message_ids=ids,
            talk_id=response.talk_id,
            is_quota_used_up=response.is_quota_used_up,
        )
    if response.outcome == kommo.SEND_OUTCOME_TELL_PERSON:
        return FailedReport(reason=response.reason or "not_sendable")
    is_unclear = response.outcome != kommo.SEND_OUTCOME_RETRY_LATER
    report = RetryReport(reason=response.reason or ("unclear" if is_unclear else "later"), is_unclear=is_unclear)
    if response.HasField("retry_after"):
        report.retry_after.CopyFrom(response.retry_after)
    return report


def of_error(error: RemoteError, *, was_unclear: bool) -> Report:
    """Return the report of a call that kommo-service did not answer with an outcome.

    Args:
        error: what came instead.
        was_unclear: whether an attempt before may have reached Kommo; a call that surely sent nothing leaves it so.
    """
    reason = (error.reason or error.code).lower()
    if error.code in REFUSED_CODES:
        return FailedReport(reason=reason)
    report = RetryReport(reason=reason, is_unclear=was_unclear or error.code in UNCLEAR_CODES)
    if error.retry_after is not None:
        report.retry_after.CopyFrom(from_seconds(error.retry_after))
    return report


def report_request(leased: LeasedDelivery, report: Report, worker_id: str) -> ReportDeliveryRequest:
    """Return the request that reports an attempt.

    Args:
        leased: what was to be sent.
        report: what became of it.
        worker_id: who sends the conversation's next delivery at once; empty for nobody.
    """
    return ReportDeliveryRequest(
        delivery_id=leased.delivery.id,
        lease_id=leased.lease_id,
        sent=report if isinstance(report, SentReport) else None,
        retry=report if isinstance(report, RetryReport) else None,
        failed=report if isinstance(report, FailedReport) else None,
        skipped=report if isinstance(report, SkippedReport) else None,
        looked=report if isinstance(report, LookedReport) else None,
        opened=report if isinstance(report, OpenedReport) else None,
        worker_id=worker_id,
    )


def outcome_of(report: Report) -> str:
    """Return the outcome of an attempt in one word, for logs and metrics."""
    match report:
        case SentReport():
            return "sent"
        case FailedReport():
            return "failed"
        case SkippedReport():
            return "skipped"
        case LookedReport():
            return "looked"
        case OpenedReport():
            return "opened"
        case _:
            return "unclear" if report.is_unclear else "retry"
