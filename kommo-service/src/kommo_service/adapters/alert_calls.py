"""Calling the alert address of an account."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx

from kommo_service.adapters.kommo_http import new_client
from kommo_service.domain.alert import (
    Alert,
    AlertOutcome,
    AlertReason,
    Later,
    Refused,
    Skipped,
    body_of,
    is_allowed,
    outcome_of,
    signed_headers,
)
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.deadline import call_timeout

LIMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class AlertCaller:
    """Posts alerts. No limit of Kommo's holds them up: Kommo is not asked.

    Args:
        client: connections that follow no redirect and keep no cookie.
        hosts: hosts that may be called.
        now: returns the time.
    """

    client: httpx.AsyncClient
    hosts: Collection[str]
    now: Callable[[], datetime]

    async def call(self, account: Account, alert: Alert) -> AlertOutcome:
        """Post an alert and return what became of it; a repeat has the same key.

        Args:
            account: whose address is called.
            alert: what is told.
        """
        url = account.handoff.alert_url
        if url is None:
            return Skipped(AlertReason.NO_ALERT_URL)
        if not is_allowed(url, self.hosts, account.kommo_base_url):
            return Refused(AlertReason.HOST_NOT_ALLOWED)
        secret = next(iter(account.secret("alert_secret")), None)
        if secret is None:
            return Refused(AlertReason.SECRET_MISSING)
        body = body_of(alert)
        return await self._post(url, body, signed_headers(secret.get_secret_value(), body, alert.id, self.now()))

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> AlertOutcome:
        try:
            async with (
                asyncio.timeout(call_timeout(LIMIT_SECONDS)),
                # The body of the answer is not read: nothing of it is wanted, whatever its size.
                self.client.stream("POST", url, content=body, headers=headers, timeout=LIMIT_SECONDS) as answer,
            ):
                return outcome_of(answer.status_code, answer.headers.get("retry-after", ""))
        except (TimeoutError, httpx.TimeoutException):
            return Later(AlertReason.TIMED_OUT)
        except (httpx.HTTPError, httpx.InvalidURL):
            return Later(AlertReason.UNREACHABLE)


@asynccontextmanager
async def open_alert_caller(hosts: Collection[str], now: Callable[[], datetime]) -> AsyncIterator[AlertCaller]:
    """Give a caller while inside; arguments as `AlertCaller`."""
    async with new_client() as client:
        yield AlertCaller(client, hosts, now)
