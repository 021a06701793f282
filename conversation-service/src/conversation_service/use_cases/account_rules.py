"""What the accounts' settings say of turns and deliveries, in the domain's terms."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from conversation_service.adapters.delivery_lease import SendingRules
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import HandoffRules, LeadChanges, language_of
from conversation_service.domain.rate import Limit
from kommomesh_runtime.accounts import Account, Accounts

# Of an account that was taken out of the configuration: what is stored of it still has to come to an end.
_UNKNOWN = Account(id="unknown", subdomain="unknown")


def account_of(accounts: Accounts, account_id: str) -> Account:
    """Return the settings of an account; the defaults where it is not configured any more."""
    return accounts.find(account_id) or _UNKNOWN


def escalator_of(accounts: Accounts, new_id: Callable[[], UUID]) -> Escalator:
    """Return who calls people by what the accounts say."""
    return Escalator(lambda account_id: _handoff_rules(account_of(accounts, account_id)), new_id)


def sending_rules(accounts: Accounts, new_id: Callable[[], UUID]) -> SendingRules:
    """Return what the accounts say of their deliveries."""

    def limit_of(account_id: str) -> Limit:
        return Limit.of(account_of(accounts, account_id).requests_per_second)

    def max_age_of(account_id: str) -> timedelta:
        return timedelta(seconds=account_of(accounts, account_id).delivery_max_age_seconds)

    return SendingRules(limit_of, max_age_of, escalator_of(accounts, new_id))


def _handoff_rules(account: Account) -> HandoffRules:
    wanted = account.handoff
    return HandoffRules(
        has_note=wanted.note,
        has_task=wanted.task,
        language=language_of(account.locale),
        due_within={one: timedelta(minutes=wanted.due_minutes(one.value)) for one in Priority},
        lead_changes=LeadChanges(wanted.responsible_user_id, wanted.pipeline_id, wanted.status_id, wanted.tags),
        trace_url=wanted.trace_url or "",
    )
