"""What is asked of kommo-service for an alert, and what its answer means; pure."""

from gateway.worker.reports import Report
from kommomesh.conversation.v1 import conversation_pb2 as conversation
from kommomesh.conversation.v1.outbox_service_pb2 import (
    FailedReport,
    LeasedDelivery,
    RetryReport,
    SentReport,
    SkippedReport,
)
from kommomesh.kommo.v1 import alert_pb2 as kommo

# What took it, where a delivery names its transport.
TRANSPORT = "alert"


def is_alert(leased: LeasedDelivery) -> bool:
    """Tell whether a delivery is a call of the account's alert address."""
    return leased.delivery.kind == conversation.DELIVERY_KIND_ALERT


def alert_request(leased: LeasedDelivery) -> kommo.SendAlertRequest:
    """Return the request that makes a leased alert."""
    delivery, alert = leased.delivery, leased.delivery.alert
    request = kommo.SendAlertRequest(
        delivery_id=delivery.id,
        account_id=delivery.account_id,
        conversation_id=delivery.conversation_id,
        kind=alert.kind,
        reason=alert.reason,
        priority=alert.priority,
        trace_url=alert.trace_url,
    )
    if alert.HasField("since_time"):
        request.since_time.CopyFrom(alert.since_time)
    if delivery.HasField("create_time"):
        request.create_time.CopyFrom(delivery.create_time)
    return request


def of_alert(response: kommo.SendAlertResponse) -> Report:
    """Return the report of what the address answered; an outcome that is not known yet is tried again."""
    match response.outcome:
        case kommo.ALERT_OUTCOME_TAKEN:
            return SentReport(transport=TRANSPORT)
        case kommo.ALERT_OUTCOME_SKIPPED:
            return SkippedReport(reason=response.reason or "skipped")
        case kommo.ALERT_OUTCOME_REFUSED:
            return FailedReport(reason=response.reason or "not_possible")
    report = RetryReport(reason=response.reason or "later")
    if response.HasField("retry_after"):
        report.retry_after.CopyFrom(response.retry_after)
    return report
