"""What the accounts' settings say of turns and deliveries, in the domain's terms."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from conversation_service.adapters.delivery_lease import SendingRules
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.floor import Priority
from conversation_service.domain.handoff import HandoffRules, LeadChanges, language_of
from conversation_service.domain.proof import DEFAULT_LOOKS, Looks
from conversation_service.domain.rate import Limit
from conversation_service.domain.waiting import WaitingRules
from kommomesh_runtime.accounts import Account, Accounts, Transport
from kommomesh_runtime.media_links import MediaLink, media_link
from kommomesh_runtime.profiles import Profiles

# What a delivery may say.
MAX_TEXT = 4096
SALESBOT_RETURN: Transport = "salesbot_return"
# The lead's talks, its field before and after, the text, the launch, and a look whether the bot has printed it.
REQUESTS_OF: Mapping[Transport, int] = {"salesbot_field": 6}
# Of an account that was taken out of the configuration: what is stored of it still has to come to an end.
_UNKNOWN = Account(id="unknown", subdomain="unknown")


def account_of(accounts: Accounts, account_id: str) -> Account:
    """Return the settings of an account; the defaults where it is not configured any more."""
    return accounts.find(account_id) or _UNKNOWN


def escalator_of(accounts: Accounts, profiles: Profiles, new_id: Callable[[], UUID]) -> Escalator:
    """Return who calls people by what the accounts and their business profiles say."""
    return Escalator(
        lambda account_id: handoff_rules(account_of(accounts, account_id)),
        lambda account_id: _waiting_rules(account_of(accounts, account_id), profiles),
        new_id,
    )


def sending_rules(
    accounts: Accounts,
    profiles: Profiles,
    new_id: Callable[[], UUID],
    looks: Looks = DEFAULT_LOOKS,
) -> SendingRules:
    """Return what the accounts say of their deliveries."""

    def limit_of(account_id: str) -> Limit:
        return Limit.of(account_of(accounts, account_id).requests_per_second)

    def max_age_of(account_id: str) -> timedelta:
        return timedelta(seconds=account_of(accounts, account_id).delivery_max_age_seconds)

    def answers_bots(account_id: str) -> bool:
        return SALESBOT_RETURN in account_of(accounts, account_id).transports

    def requests_of(account_id: str) -> int:
        return max((REQUESTS_OF.get(name, 1) for name in account_of(accounts, account_id).transports[:1]), default=1)

    escalator = escalator_of(accounts, profiles, new_id)
    return SendingRules(limit_of, max_age_of, escalator, looks, answers_bots, requests_of)


def answers_bots_first(accounts: Accounts, account_id: str) -> bool:
    """Tell whether an account's first way to say something is to answer a Salesbot that waits."""
    return account_of(accounts, account_id).transports[:1] == (SALESBOT_RETURN,)


def _waiting_rules(account: Account, profiles: Profiles) -> WaitingRules:
    wanted, profile = account.handoff, profiles.get(account)

    def text_at(key: str, at: datetime, language: str) -> str:
        text = profile.text_at(key, at, language or account.locale.split("-")[0].lower())
        return text.replace("\x00", "").strip()[:MAX_TEXT]

    return WaitingRules(
        after_seconds=wanted.person_reminder_after_seconds,
        hours=profile.business_hours,
        text_at=text_at,
        has_courtesy=wanted.courtesy,
        has_alert=wanted.alert_url is not None,
    )


def handoff_rules(account: Account) -> HandoffRules:
    """Return what an account wants done when a person is called."""
    wanted = account.handoff
    return HandoffRules(
        has_note=wanted.note,
        has_task=wanted.task,
        language=language_of(account.locale),
        due_within={one: timedelta(minutes=wanted.due_minutes(one.value)) for one in Priority},
        lead_changes=LeadChanges(wanted.responsible_user_id, wanted.pipeline_id, wanted.status_id, wanted.tags),
        trace_url=wanted.trace_url or "",
        shows_link=lambda url: isinstance(media_link(url, account), MediaLink),
    )
