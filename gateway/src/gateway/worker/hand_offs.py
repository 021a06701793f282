"""What is asked of kommo-service for an action of a hand-over, and what its answer means; pure."""

from gateway.worker.reports import Report
from kommomesh.conversation.v1 import conversation_pb2 as conversation
from kommomesh.conversation.v1.outbox_service_pb2 import (
    FailedReport,
    LeasedDelivery,
    RetryReport,
    SentReport,
    SkippedReport,
)
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo

# What an action is called where a message names the transport that took it.
NAMES = {
    conversation.DELIVERY_KIND_NOTE: "note",
    conversation.DELIVERY_KIND_TASK: "task",
    conversation.DELIVERY_KIND_LEAD_UPDATE: "lead_update",
    conversation.DELIVERY_KIND_REMINDER: "reminder",
    conversation.DELIVERY_KIND_VIEWING: "viewing",
}


def is_action(leased: LeasedDelivery) -> bool:
    """Tell whether a delivery is an action of a hand-over, not a message to the client."""
    return leased.delivery.kind in NAMES


def hand_off_request(leased: LeasedDelivery) -> kommo.HandOffRequest:
    """Return the request that carries out a leased action."""
    request = kommo.HandOffRequest(
        delivery_id=leased.delivery.id,
        account_id=leased.delivery.account_id,
        talk_id=leased.talk_id,
        contact_id=leased.contact_id,
        lead_id=leased.lead_id,
    )
    _put_action(request, leased.delivery)
    if leased.HasField("start_before_time"):
        request.start_before_time.CopyFrom(leased.start_before_time)
    if leased.HasField("unclear_since_time"):
        request.unclear_since_time.CopyFrom(leased.unclear_since_time)
    return request


def of_hand_off(leased: LeasedDelivery, response: kommo.HandOffResponse) -> Report:
    """Return the report of what Kommo answered; an outcome that is not known yet is unclear."""
    match response.outcome:
        case kommo.SEND_OUTCOME_SENT:
            ids = [response.kommo_id] if response.kommo_id else []
            return SentReport(transport=NAMES[leased.delivery.kind], kommo_message_ids=ids)
        case kommo.SEND_OUTCOME_SKIPPED:
            return SkippedReport(reason=response.reason or "skipped")
        case kommo.SEND_OUTCOME_TELL_PERSON:
            return FailedReport(reason=response.reason or "not_possible")
    is_unclear = response.outcome != kommo.SEND_OUTCOME_RETRY_LATER
    report = RetryReport(reason=response.reason or ("unclear" if is_unclear else "later"), is_unclear=is_unclear)
    if response.HasField("retry_after"):
        report.retry_after.CopyFrom(response.retry_after)
    return report


def _put_action(request: kommo.HandOffRequest, delivery: conversation.Delivery) -> None:
    match _as_action(delivery):
        case conversation.DELIVERY_KIND_NOTE:
            request.note.text = delivery.text
        case conversation.DELIVERY_KIND_TASK | conversation.DELIVERY_KIND_REMINDER:
            request.task.text = delivery.text
            request.task.due_time.CopyFrom(delivery.task.due_time)
            request.task.responsible_user_id = delivery.task.responsible_user_id
        case conversation.DELIVERY_KIND_LEAD_UPDATE:
            changes = delivery.lead_changes
            request.lead_update.CopyFrom(
                kommo.HandOffLeadUpdate(
                    responsible_user_id=changes.responsible_user_id,
                    pipeline_id=changes.pipeline_id,
                    status_id=changes.status_id,
                    tags=changes.tags,
                )
            )


def _as_action(delivery: conversation.Delivery) -> "conversation.DeliveryKind.ValueType":
    """Return what an action is to Kommo: a viewing is a task, or a note where the account wants no tasks."""
    if delivery.kind != conversation.DELIVERY_KIND_VIEWING:
        return delivery.kind
    return conversation.DELIVERY_KIND_TASK if delivery.HasField("task") else conversation.DELIVERY_KIND_NOTE
