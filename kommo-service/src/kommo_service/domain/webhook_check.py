"""Whether Kommo posts an account's events to the gateway, and what is wrong with the subscription."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kommo_service.domain.findings import Finding, fine, problem, unknown, warning

PATH = "/api/kommo/webhook/"
NEEDED_EVENTS = ("add_message", "add_outgoing_message", "add_talk", "update_talk")
# Without the client's messages there is no bot; without the others it works worse.
VITAL_EVENT = "add_message"
WANTED_EVENTS = (*NEEDED_EVENTS, "add_unsorted", "note_lead", "note_contact")
LEAST_SECRET_LENGTH = 24
LEAST_SECRET_VARIETY = 10
FIX = "Run the check again with --fix, which subscribes"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One destination of an account's CRM webhooks."""

    destination: str
    events: frozenset[str]
    is_disabled: bool

    @property
    def is_ours(self) -> bool:
        """Whether it leads to a gateway of this kind."""
        return PATH in urlsplit(self.destination).path

    @property
    def shown(self) -> str:
        """The destination without its secret."""
        parts = urlsplit(self.destination)
        return f"{parts.scheme}://{parts.netloc}{PATH}…"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Subscription":
        """Return the subscription that Kommo lists.

        Source: Kommo, webhooks: `destination`, `settings` and `disabled` of each item.
        """
        events = item.get("settings")
        return cls(
            str(item.get("destination") or ""),
            frozenset(map(str, events if isinstance(events, list) else ())),
            bool(item.get("disabled")),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the subscription should be.

    Args:
        base_url: where Kommo reaches the gateway, without a final slash; empty when unknown.
        secrets: the valid webhook secrets, the newest first; empty when they are not known here.
    """

    base_url: str
    secrets: Sequence[str]

    def destination(self, found: Sequence[Subscription]) -> str:
        """Return where to subscribe: the URL by the settings, else what is subscribed already; empty when unknown."""
        if self.base_url and self.secrets:
            return f"{self.base_url}{PATH}{self.secrets[0]}"
        return next((one.destination for one in self.fitting(found)), "")

    def is_newest(self, one: Subscription) -> bool:
        """Tell whether a subscription carries the newest secret, as far as that is known here."""
        return not self.secrets or one.destination.rpartition(PATH)[2] == self.secrets[0]

    def fitting(self, found: Sequence[Subscription]) -> list[Subscription]:
        """Return the subscriptions that reach this account's gateway."""
        return [one for one in found if one.is_ours and self._fits(one.destination)]

    def _fits(self, destination: str) -> bool:
        base, _, secret = destination.rpartition(PATH)
        return (not self.base_url or base == self.base_url) and (not self.secrets or secret in self.secrets)


def subscription(found: Sequence[Subscription], wanted: Wanted) -> list[Finding]:
    """Return what is right or wrong with the subscription of an account."""
    fitting = wanted.fitting(found)
    if not fitting:
        return [_missing(found, wanted)]
    best = min(fitting, key=lambda one: (one.is_disabled, VITAL_EVENT not in one.events, not wanted.is_newest(one)))
    findings = [_state(best), *_events(best)]
    if not wanted.is_newest(best):
        text = "Kommo posts with an older webhook secret, not with the newest."
        findings.append(warning("webhook_rotation", text, f"{FIX} the newest; then remove the old one in Kommo."))
    if len([one for one in found if one.is_ours and not one.is_disabled]) > 1:
        several = (
            "Several subscriptions lead to gateways: each event comes more than once, which costs Kommo's patience."
        )
        findings.append(warning("webhook_copies", several, "Remove the ones that are not used in Kommo's settings."))
    return findings


def _missing(found: Sequence[Subscription], wanted: Wanted) -> Finding:
    same_host = [one for one in found if one.is_ours and one.destination.startswith(wanted.base_url + PATH)]
    if wanted.secrets and same_host:
        text = f"Kommo posts to {same_host[0].shown} with a secret that the account file does not name."
        return problem("webhook", text, f"{FIX} the address with the newest secret; then remove the old one in Kommo.")
    elsewhere = next((one.shown for one in found if one.is_ours), "")
    text = f"Kommo posts to {elsewhere} only." if elsewhere else "Kommo posts this account's events to no gateway."
    if wanted.base_url:
        return problem("webhook", text, f"{FIX} {wanted.base_url}{PATH}….")
    where = "Set public_url in the account file (or give --public-url), and run the check again with --fix."
    return problem("webhook", text, where)


def _state(one: Subscription) -> Finding:
    if one.is_disabled:
        text = f"Kommo has switched the webhook {one.shown} off, as it does after 100 failed attempts in two hours."
        return problem("webhook", text, f"Make the gateway answer there. {FIX} again.")
    return fine("webhook", f"Kommo posts to {one.shown}.")


def _events(one: Subscription) -> list[Finding]:
    missing = [event for event in NEEDED_EVENTS if event not in one.events]
    if not missing:
        return []
    text = f"The webhook does not bring {', '.join(missing)}."
    if VITAL_EVENT in missing:
        return [problem("webhook_events", f"{text} No message of a client arrives.", f"{FIX} to all that is needed.")]
    return [warning("webhook_events", text, f"{FIX} to all that is needed.")]


def secret_strength(secrets: Sequence[str], *, is_exposed: bool) -> Finding | None:
    """Return how hard the webhook secrets are to guess; None when they are not known here.

    The secret is all that tells Kommo's unsigned webhooks from anybody's.

    Args:
        secrets: the valid ones.
        is_exposed: whether others than this machine can reach the gateway.
    """
    remedy = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"; then subscribe with --fix.'
    if not secrets:
        return None
    if not all(secret.isascii() and secret.replace("-", "").replace("_", "").isalnum() for secret in secrets):
        return problem("webhook_secret", "A webhook secret has characters that do not fit into an address.", remedy)
    if is_exposed and any(len(one) < LEAST_SECRET_LENGTH or len(set(one)) < LEAST_SECRET_VARIETY for one in secrets):
        text = (
            f"A webhook secret is easy to guess: fewer than {LEAST_SECRET_LENGTH} characters, or always the same few."
        )
        return problem("webhook_secret", text, remedy)
    return fine("webhook_secret", "The webhook secrets are long enough.")


def public_url(url: str, *, is_loopback: bool, kommo_is_here: bool) -> Finding | None:
    """Return whether Kommo can reach the gateway's address safely; None when that is so or the address is unknown."""
    if not url or kommo_is_here:
        return None
    if is_loopback:
        return problem(
            "public_url", f"Kommo cannot reach {url}.", "Set public_url to the gateway's address on the internet."
        )
    if urlsplit(url).scheme != "https":
        text = "The gateway's address is not https: the webhook secret and the messages travel readable."
        return problem("public_url", text, "Put TLS in front of the gateway, and set public_url to its https address.")
    return None


def not_readable(status: int) -> Finding:
    """Return the finding of subscriptions that Kommo does not show."""
    if status in (402, 403):
        text = "Kommo does not show the webhooks to this token."
        return problem("webhook", text, "Let an administrator of the account issue the token, on a plan with webhooks.")
    return unknown("webhook", f"Kommo answered {status} when asked for the webhooks.", "Run the check again later.")
