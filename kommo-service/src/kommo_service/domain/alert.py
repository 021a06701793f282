"""Alerts to an account's own systems: where they may go, what they say, how they are signed, what an answer means."""

import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from kommomesh_runtime.handoff import LOOPBACK, is_alert_url

TIMESTAMP_HEADER = "X-Mesh-Timestamp"
SIGNATURE_HEADER = "X-Mesh-Signature"
IDEMPOTENCY_HEADER = "Idempotency-Key"
RETRY_SECONDS = 15.0
MOST_RETRY_SECONDS = 600.0
# Besides 5xx: what another attempt may change.
_PASSING = frozenset({408, 425, 429})
_PORTS = {"https": 443, "http": 80}


class AlertReason(StrEnum):
    """Why an alert did not reach its address."""

    NO_ALERT_URL = "no_alert_url"
    HOST_NOT_ALLOWED = "alert_host_not_allowed"
    SECRET_MISSING = "alert_secret_missing"  # noqa: S105 - a code, not a secret
    REDIRECTED = "alert_redirected"
    NOT_WANTED = "alert_refused"
    UNAVAILABLE = "alert_unavailable"
    TIMED_OUT = "alert_timeout"
    UNREACHABLE = "alert_connection_failed"


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told; it has no words, names or phones. Unknown texts are empty."""

    id: str
    account_id: str
    conversation_id: str
    kind: str
    reason: str
    priority: str
    since: datetime | None
    created: datetime | None
    trace_url: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The address has it."""


@dataclass(frozen=True, slots=True)
class Later:
    """It is to be told again, after so many seconds."""

    reason: AlertReason
    after: float = RETRY_SECONDS


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be told in this way."""

    reason: AlertReason


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nobody wants to be told."""

    reason: AlertReason


AlertOutcome = Taken | Later | Refused | Skipped


def allowed_hosts(listed: str) -> frozenset[str]:
    """Return the hosts of a setting such as `hooks.example.com, ops.example.com:8443`."""
    return frozenset(one.strip().lower() for one in listed.split(",") if one.strip())


def is_allowed(url: str, hosts: Collection[str], kommo_base_url: str) -> bool:
    """Tell whether an alert may be posted to an address.

    Args:
        url: the address of the account.
        hosts: those that the operator allows; one that names no port means 443.
        kommo_base_url: of the account: one that speaks to a simulator of this machine may alert this machine.
    """
    if not is_alert_url(url):
        return False
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if parts.scheme == "http":
        return host in LOOPBACK and urlsplit(kommo_base_url).hostname in LOOPBACK
    return f"{host}:{port}" in hosts or (port == _PORTS["https"] and host in hosts)


def body_of(alert: Alert) -> bytes:
    """Return the JSON of an alert."""
    fields = {
        "id": alert.id,
        "account_id": alert.account_id,
        "conversation_id": alert.conversation_id,
        "kind": alert.kind,
        "reason": alert.reason,
        "priority": alert.priority,
        "since": _time(alert.since),
        "created": _time(alert.created),
        "trace_url": alert.trace_url,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def signed_headers(secret: str, body: bytes, alert_id: str, now: datetime) -> Mapping[str, str]:
    """Return the headers of an attempt: its key, its time, and the signature of time and body.

    Args:
        secret: the account's alert secret.
        body: the exact bytes that are sent.
        alert_id: the same for every attempt of one alert.
        now: an aware time.
    """
    timestamp = str(int(now.timestamp()))
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        IDEMPOTENCY_HEADER: alert_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: f"sha256={signature}",
    }


def outcome_of(status: int, retry_after: str) -> AlertOutcome:
    """Return what an answer means.

    Args:
        status: of HTTP.
        retry_after: the header of that name; empty when there was none. Only seconds are understood.
    """
    if 200 <= status < 300:
        return Taken()
    if status >= 500 or status in _PASSING:
        asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else RETRY_SECONDS
        return Later(AlertReason.UNAVAILABLE, min(max(asked, 1.0), MOST_RETRY_SECONDS))
    return Refused(AlertReason.REDIRECTED if 300 <= status < 400 else AlertReason.NOT_WANTED)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
