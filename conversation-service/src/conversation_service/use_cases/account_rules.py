"""What the accounts' settings say of turns and deliveries, in the domain's terms."""

from datetime import timedelta

from conversation_service.adapters.delivery_lease import SendingRules
from conversation_service.domain.rate import Limit
from kommomesh_runtime.accounts import Account, Accounts

# Of an account that was taken out of the configuration: what is stored of it still has to come to an end.
_UNKNOWN = Account(id="unknown", subdomain="unknown")


def account_of(accounts: Accounts, account_id: str) -> Account:
    """Return the settings of an account; the defaults where it is not configured any more."""
    return accounts.find(account_id) or _UNKNOWN


def sending_rules(accounts: Accounts) -> SendingRules:
    """Return what the accounts say of their deliveries."""

    def limit_of(account_id: str) -> Limit:
        return Limit.of(account_of(accounts, account_id).requests_per_second)

    def max_age_of(account_id: str) -> timedelta:
        return timedelta(seconds=account_of(accounts, account_id).delivery_max_age_seconds)

    return SendingRules(limit_of, max_age_of)
