"""Nobody comes: what follows a call of a person that no person answers, composed when the person is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from conversation_service.domain.alerts import AlertDetails, AlertKind
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import HandoffRules, Situation, TaskDetails, reminder_text, trace_link
from kommomesh_runtime.business_hours import BusinessHours

# How long Kommo may refuse a package before somebody is told by another way.
PACKAGE_PATIENCE = timedelta(minutes=2)
_HIGHER = {
    Priority.LOW: Priority.MEDIUM,
    Priority.MEDIUM: Priority.HIGH,
    Priority.HIGH: Priority.CRITICAL,
    Priority.CRITICAL: Priority.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """What an account wants while a person is waited for.

    Args:
        after_seconds: business hours until it counts that nobody has come; 0 means never.
        hours: of the business.
        text_at: returns what the client reads, by the text's name, the time and the language (`es`, `pt`, `en`, or
            empty where it is not known); empty for nothing.
        has_courtesy: whether the client is told when nobody has come.
        has_alert: whether the account has an alert address.
    """

    after_seconds: float
    hours: BusinessHours
    text_at: Callable[[str, datetime, str], str]
    has_courtesy: bool
    has_alert: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What follows where nobody has come by `due_at`; absent parts are not wanted."""

    due_at: datetime
    task: str = ""
    task_details: TaskDetails | None = None
    courtesy: str = ""
    alert: AlertDetails | None = None


def compose_waiting(situation: Situation, rules: HandoffRules, waiting: WaitingRules, now: datetime) -> Waiting | None:
    """Return what follows where nobody comes; None where the account wants nothing of it.

    Args:
        situation: what is stored.
        rules: what the account wants of its hand-overs.
        waiting: what it wants of this.
        now: when the person is called.
    """
    if waiting.after_seconds <= 0:
        return None
    due_at = waiting.hours.after(now, waiting.after_seconds)
    raised = replace(situation, priority=higher(situation.priority))
    details = TaskDetails(
        due_at + rules.due_within[raised.priority], raised.priority, rules.lead_changes.responsible_user_id
    )
    return Waiting(
        due_at=due_at,
        task=reminder_text(raised, rules.language) if rules.has_task else "",
        task_details=details if rules.has_task else None,
        courtesy=waiting.text_at("courtesy", due_at, situation.client_language) if waiting.has_courtesy else "",
        alert=_alert(raised, rules, now) if waiting.has_alert else None,
    )


def notice(situation: Situation, waiting: WaitingRules, now: datetime) -> str:
    """Return what the client reads when a person is called for it; empty where the business left it blank."""
    return waiting.text_at("handoff_notice", now, situation.client_language)


def higher(priority: Priority) -> Priority:
    """Return the next higher priority; the highest stays."""
    return _HIGHER[priority]


def _alert(situation: Situation, rules: HandoffRules, now: datetime) -> AlertDetails:
    return AlertDetails(
        kind=AlertKind.NOBODY_CAME,
        reason=situation.reason_code,
        priority=situation.priority,
        since_at=now,
        trace_url=trace_link(situation, rules.trace_url),
    )
