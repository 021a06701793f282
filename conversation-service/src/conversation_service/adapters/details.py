"""The details of hand-over actions as JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from conversation_service.domain.alerts import AlertDetails, AlertKind
from conversation_service.domain.channel_message import ChannelMessage, RelayStatus
from conversation_service.domain.deliveries import DeliveryKind
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import Details, LeadChanges, TaskDetails


def details_to_json(details: Details | None) -> dict[str, object] | None:
    """Return the details of an action as they are stored."""
    match details:
        case TaskDetails():
            return {
                "due_at": details.due_at.isoformat(),
                "priority": details.priority.value,
                "responsible_user_id": details.responsible_user_id,
            }
        case LeadChanges():
            return {
                "responsible_user_id": details.responsible_user_id,
                "pipeline_id": details.pipeline_id,
                "status_id": details.status_id,
                "tags": list(details.tags),
            }
        case AlertDetails():
            return {
                "alert": details.kind.value,
                "reason": details.reason,
                "priority": details.priority.value,
                "since_at": details.since_at.isoformat(),
                "trace_url": details.trace_url,
            }
        case ChannelMessage():
            return _of_channel_message(details)
        case None:
            return None


def details_of_json(kind: DeliveryKind, stored: Mapping[str, Any] | None) -> Details | None:
    """Return the details of an action from what is stored."""
    if stored is None:
        return None
    if kind in (DeliveryKind.TASK, DeliveryKind.REMINDER, DeliveryKind.VIEWING):
        due_at, priority = datetime.fromisoformat(stored["due_at"]), Priority(stored["priority"])
        return TaskDetails(due_at, priority, stored["responsible_user_id"])
    if kind in (DeliveryKind.RELAY, DeliveryKind.MIRROR):
        return _channel_message(stored)
    if kind is DeliveryKind.ALERT:
        since_at, priority = datetime.fromisoformat(stored["since_at"]), Priority(stored["priority"])
        return AlertDetails(AlertKind(stored["alert"]), stored["reason"], priority, since_at, stored["trace_url"])
    return LeadChanges(stored["responsible_user_id"], stored["pipeline_id"], stored["status_id"], tuple(stored["tags"]))


def _of_channel_message(message: ChannelMessage) -> dict[str, object]:
    found = {name: getattr(message, name) for name in ChannelMessage.__dataclass_fields__}
    found["written_at"] = message.written_at.isoformat() if message.written_at else None
    found["kommo_message_ids"] = list(message.kommo_message_ids)
    found["status"] = message.status.value if message.status else None
    return {name: value for name, value in found.items() if value}


def _channel_message(stored: Mapping[str, Any]) -> ChannelMessage:
    # A later release may store more.
    found = {name: value for name, value in stored.items() if name in ChannelMessage.__dataclass_fields__}
    if "written_at" in found:
        found["written_at"] = datetime.fromisoformat(found["written_at"])
    if "status" in found:
        found["status"] = RelayStatus(found["status"])
    return ChannelMessage(**found | {"kommo_message_ids": tuple(found.get("kommo_message_ids", ()))})
