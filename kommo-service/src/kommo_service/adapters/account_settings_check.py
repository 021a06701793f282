"""The part of an account's check that asks nobody: its file, its secrets and its business profile."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

import httpx

from kommo_service.domain.findings import Finding, fine, problem, unknown, warning
from kommo_service.domain.webhook_check import public_url, secret_strength
from kommomesh_runtime.accounts import Account, SecretName
from kommomesh_runtime.profile import ProfileError, load_profile

# What kommo-service owns; the other secrets belong to the gateway, and need not be where this runs.
OWN_SECRETS: tuple[SecretName, ...] = ("access_token", "channel_secret", "relay_secret", "alert_secret")


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_exposed(account: Account, url: str) -> bool:
    """Tell whether others than this machine can reach the gateway of an account.

    Args:
        account: the account.
        url: the gateway's address; empty when unknown.
    """
    return not is_loopback(account.kommo_base_url) or (bool(url) and not is_loopback(url))


def settings_findings(account: Account, others: Iterable[Account], url: str, *, is_whole: bool) -> list[Finding]:
    """Return what is right or wrong with what the account file says.

    Args:
        account: the account.
        others: the other accounts of the mesh.
        url: where Kommo reaches the gateway; empty when unknown.
        is_whole: whether this process may be expected to have every secret and the profile.
    """
    webhook = texts_of(account, "webhook_secret")
    found: list[Finding | None] = [
        _authorization(account),
        *_transports(account),
        *(_secret(account, name, is_whole=is_whole) for name in _needed_secrets(account)),
        secret_strength(webhook, is_exposed=is_exposed(account, url)),
        _shared_secret(webhook, others),
        _guide(account, url),
        public_url(url, is_loopback=bool(url) and is_loopback(url), kommo_is_here=is_loopback(account.kommo_base_url)),
        _rate(account),
        _profile(account, is_whole=is_whole),
    ]
    return [one for one in found if one]


def texts_of(account: Account, name: SecretName) -> tuple[str, ...]:
    """Return the valid values of a secret, the newest first."""
    return tuple(one.get_secret_value() for one in account.secret(name))


def _authorization(account: Account) -> Finding | None:
    if account.authorization == "long_lived":
        return None
    text = "The account is set to OAuth, whose tokens have no durable home in the mesh yet."
    return problem("authorization", text, 'Use a long-lived token, and set authorization = "long_lived".')


def _transports(account: Account) -> list[Finding]:
    found = []
    if not account.transports:
        found.append(problem("transports", "The account lists no way to answer.", 'Set transports = ["talk_message"].'))
    if "own_channel" in account.transports and account.channel is None:
        text = "own_channel is listed as a transport, but the account file has no [channel]."
        found.append(problem("transports", text, "Add the [channel] table, or take own_channel out of transports."))
    if account.channel and account.channel.relay_url and "own_channel" not in account.transports:
        text = "channel.relay_url is set, but own_channel is no transport: nothing could answer the relay's clients."
        found.append(problem("transports", text, 'Put "own_channel" first in transports.'))
    bots = account.salesbot
    if "salesbot_field" in account.transports and (bots.field_id is None or bots.bot_id is None):
        text = "salesbot_field is listed as a transport, but the account file does not name its field and its bot."
        found.append(problem("transports", text, "Set field_id and bot_id in the [salesbot] table."))
    return found


def _needed_secrets(account: Account) -> list[SecretName]:
    needed: list[SecretName] = ["webhook_secret", "access_token"]
    if account.channel:
        needed.append("channel_secret")
    if account.channel and account.channel.relay_url:
        needed.append("relay_secret")
    if account.handoff.alert_url:
        needed.append("alert_secret")
    if account.guide_webhook == "signed":
        needed.append("guide_secret")
    if "salesbot_return" in account.transports:
        needed.append("client_secret")
    return needed


def _secret(account: Account, name: SecretName, *, is_whole: bool) -> Finding | None:
    if account.secret(name):
        return None
    if not is_whole and name not in OWN_SECRETS:
        return unknown(f"secrets.{name}", "kommo-service does not hold this secret.", "Run the check where it is.")
    places = [f"the variable {ref.env}" if ref.env else f"the file {ref.file}" for ref in account.secrets.get(name, ())]
    if not places:
        return problem(f"secrets.{name}", "The account file does not name it.", f"Add {name} under [secrets].")
    return problem(f"secrets.{name}", f"It is empty: {' and '.join(places)}.", "Put the secret there.")


def _shared_secret(secrets: Sequence[str], others: Iterable[Account]) -> Finding | None:
    sharing = [one.id for one in others if set(secrets) & set(texts_of(one, "webhook_secret"))]
    if not sharing:
        return None
    text = f"The webhook secret is also that of account {', '.join(sharing)}: who knows one can speak for the other."
    return problem("webhook_secret", text, "Give each account a webhook secret of its own.")


def _guide(account: Account, url: str) -> Finding | None:
    if account.guide_webhook != "open" or not is_exposed(account, url):
        return None
    text = "guide_webhook is open: anybody who finds the address can write as a client."
    return problem("guide_webhook", text, 'Set guide_webhook to "closed", or to "signed" with secrets.guide_secret.')


def _rate(account: Account) -> Finding | None:
    if account.requests_per_second <= 7 or is_loopback(account.kommo_base_url):
        return None
    text = f"requests_per_second is {account.requests_per_second:g}, but Kommo takes 7 and blocks who goes on."
    return warning("requests_per_second", text, "Set requests_per_second = 7.")


def _profile(account: Account, *, is_whole: bool) -> Finding:
    if account.profile and not account.profile.is_dir() and not is_whole:
        return unknown("profile", "kommo-service does not have the business profile.", "Run the check where it is.")
    return checked_profile(lambda: load_profile(account.profile).name, is_example=account.profile is None)


def checked_profile(load: Callable[[], str], *, is_example: bool) -> Finding:
    """Return whether a profile can be used.

    Args:
        load: returns the business's name.
        is_example: whether it is the shipped one.
    """
    try:
        name = load()
    except ProfileError as error:
        return problem("profile", str(error), "Correct that line; `kommomesh profile check` reads every file of it.")
    return fine("profile", f"{name}{' (the shipped example)' if is_example else ''}: business.toml can be used.")
