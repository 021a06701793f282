"""Finds out which account a request may speak for."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from kommomesh_runtime.accounts import Account, Accounts, SecretName

REFRESH_SECONDS = 2.0


@dataclass(slots=True)
class _Known:
    values: tuple[str, ...]
    read_at: float


@dataclass(slots=True)
class Keyring:
    """The secrets of all accounts, read again every few seconds so that a rotation needs no restart.

    Args:
        accounts: the accounts.
        environ: where secrets by variable are.
        clock: seconds that only grow.
    """

    accounts: Accounts
    environ: Mapping[str, str]
    clock: Callable[[], float]
    _known: dict[tuple[str, SecretName], _Known] = field(default_factory=dict)

    def secrets(self, account: Account, name: SecretName) -> tuple[str, ...]:
        """Return the valid values of an account's secret; empty when it has none."""
        key, now = (account.id, name), self.clock()
        known = self._known.get(key)
        if known is None or now - known.read_at > REFRESH_SECONDS:
            values = tuple(one.get_secret_value() for one in account.secret(name, self.environ))
            known = self._known[key] = _Known(values, now)
        return known.values

    def accounts_of_secret(self, secret: str) -> list[Account]:
        """Return the accounts whose webhook secret this is, in constant time over all valid secrets."""
        given = sha256(secret.encode("utf-8", "replace")).digest()
        found = []
        for account in self.accounts:
            matches = [
                hmac.compare_digest(sha256(one.encode()).digest(), given)
                for one in self.secrets(account, "webhook_secret")
            ]
            if any(matches):
                found.append(account)
        return found

    def account_of_scope(self, scope_id: str) -> Account | None:
        """Return the account that owns the channel scope and can verify its hooks; None when there is none."""
        for account in self.accounts:
            if account.channel is not None and account.channel.scope_id == scope_id:
                return account if self.secrets(account, "channel_secret") else None
        return None

    def account_of_guide(self, account_id: str) -> Account | None:
        """Return the account when it takes the guide's webhook; None when it is unknown or closed."""
        account = self.accounts.find(account_id)
        return None if account is None or account.guide_webhook == "closed" else account

    def account_of_salesbot(self, account_id: str) -> Account | None:
        """Return the account when its Salesbots' requests can be proved; None when it is unknown or lacks something."""
        account = self.accounts.find(account_id)
        return None if account is None or self._salesbot_lacks(account) else account

    def account_of_relay(self, account_id: str) -> Account | None:
        """Return the account when it has a relay whose posts can be verified; None when it has not, or is unknown."""
        account = self.accounts.find(account_id)
        if account is None or account.channel is None or not account.channel.relay_url:
            return None
        return account if self.secrets(account, "relay_secret") else None

    def _salesbot_lacks(self, account: Account) -> str:
        if not account.integration_id:
            return "no integration_id"
        if not account.public_url:
            return "no public_url"
        return "" if self.secrets(account, "client_secret") else "no client_secret"

    def closed_webhooks(self, account: Account) -> dict[str, str]:
        """Return the webhooks of an account that take nothing, each with what it lacks."""
        closed = {}
        if not self.secrets(account, "webhook_secret"):
            closed["crm"] = "no webhook_secret"
        if account.channel is None:
            closed["chats"] = "no channel"
        elif not self.secrets(account, "channel_secret"):
            closed["chats"] = "no channel_secret"
        if account.channel is not None and account.channel.relay_url and not self.secrets(account, "relay_secret"):
            closed["relay"] = "no relay_secret"
        if account.guide_webhook == "closed":
            closed["guide"] = "guide_webhook is closed"
        elif account.guide_webhook == "signed" and not self.secrets(account, "guide_secret"):
            closed["guide"] = "no guide_secret"
        lacking = self._salesbot_lacks(account)
        # Most accounts have no such bot; one that was given a part of what it needs wants it.
        if lacking and (account.integration_id or self.secrets(account, "client_secret")):
            closed["salesbot"] = lacking
        return closed

    @property
    def takes_guide(self) -> bool:
        """Whether any account takes the guide's webhook."""
        return any(account.guide_webhook != "closed" for account in self.accounts)
