"""The details of hand-over actions as JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

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
        case None:
            return None


def details_of_json(kind: DeliveryKind, stored: Mapping[str, Any] | None) -> Details | None:
    """Return the details of an action from what is stored."""
    if stored is None:
        return None
    if kind is DeliveryKind.TASK:
        due_at, priority = datetime.fromisoformat(stored["due_at"]), Priority(stored["priority"])
        return TaskDetails(due_at, priority, stored["responsible_user_id"])
    return LeadChanges(stored["responsible_user_id"], stored["pipeline_id"], stored["status_id"], tuple(stored["tags"]))
