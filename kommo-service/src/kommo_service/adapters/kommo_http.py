"""Requests to one host of one Kommo account: limits, timeouts, and answers in the domain's words."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from kommo_service.adapters.metrics import REFUSALS, REQUEST_SECONDS
from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.limiter import KommoRateLimited, Limiter, Refusal, Use
from kommomesh_runtime.deadline import call_timeout
from kommomesh_runtime.logs import get_logger

CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
# With less time than this a request could only end without a known outcome.
LEAST_SECONDS = 0.25
MAXIMUM_ANSWER_BYTES = 4 * 1024 * 1024
# Kommo's server keeps idle connections for longer; one that ends first would break a send off.
KEEPALIVE_SECONDS = 4.0
USER_AGENT = "KommoMesh/0.1"
_NOTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Request:
    """One request: what it is called in metrics, and what goes over the wire."""

    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: Mapping[str, str] | None = None


def new_client() -> httpx.AsyncClient:
    """Return the connections of one account, to be closed by the caller.

    Redirects are not followed: they would carry the token, and the message, to another host. No cookie is kept:
    the token alone says who asks.
    """
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    limits = httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=KEEPALIVE_SECONDS)
    return httpx.AsyncClient(
        limits=limits,
        follow_redirects=False,
        trust_env=False,
        cookies=no_cookies,
        headers={"User-Agent": USER_AGENT},
    )


@asynccontextmanager
async def open_client() -> AsyncIterator[httpx.AsyncClient]:
    """Give the connections of one account while inside."""
    async with new_client() as client:
        yield client


class KommoHttp:
    """One host of one account.

    Args:
        client: the account's connections.
        base_url: scheme and host.
        account_id: for logs and errors.
        limiter: the host's requests per second.
        now: returns the time.
        clock: returns seconds that only grow.
        jitter: returns 0 to 1.
        answer_seconds: longest wait for an answer.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        account_id: str,
        limiter: Limiter,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float],
        answer_seconds: float = READ_SECONDS,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._account_id = account_id
        self._limiter = limiter
        self._now = now
        self._clock = clock
        self._jitter = jitter
        self._answer_seconds = answer_seconds

    def admit(self, use: Use, count: int = 1) -> None:
        """Take `count` requests out of the account's second.

        Raises:
            KommoRateLimited: it has not so many left, or Kommo refused lately.
        """
        wait = self._limiter.take(use, count, self._clock())
        if wait > 0:
            REFUSALS.labels(use.value).inc()
            raise KommoRateLimited(retry_after=wait, account_id=self._account_id)

    def count(self, use: Use) -> None:
        """Count a request that follows from one already admitted."""
        self._limiter.note(use, 1, self._clock())

    async def ask(self, request: Request) -> Answer | Failure:
        """Make a request and return its answer, or why there is none."""
        started = self._clock()
        answer = await self._ask(request)
        label = answer.value if isinstance(answer, Failure) else f"{answer.status // 100}xx"
        REQUEST_SECONDS.labels(request.operation, label).observe(self._clock() - started)
        if isinstance(answer, Failure):
            log.warning(
                "kommo_request.failed", account_id=self._account_id, operation=request.operation, failure=answer.value
            )
        return answer

    async def _ask(self, request: Request) -> Answer | Failure:
        total = call_timeout(CONNECT_SECONDS + self._answer_seconds) or 0.0
        if total < LEAST_SECONDS:
            return Failure.NOT_CONNECTED
        timeout = httpx.Timeout(min(self._answer_seconds, total), connect=min(CONNECT_SECONDS, total / 2))
        try:
            async with asyncio.timeout(total):
                return await self._exchange(request, timeout)
        except _NOTHING_LEFT:
            return Failure.NOT_CONNECTED
        except (httpx.TimeoutException, TimeoutError):
            return Failure.TIMED_OUT
        except httpx.HTTPError:
            return Failure.BROKEN_OFF

    async def _exchange(self, request: Request, timeout: httpx.Timeout) -> Answer:
        async with self._client.stream(
            request.method,
            self._base_url + request.path,
            params=request.query,
            content=request.body,
            headers=request.headers,
            timeout=timeout,
        ) as response:
            status, headers = response.status_code, response.headers
            content = await _bounded(response)
        return self._answer(status, headers, content)

    def _answer(self, status: int, headers: httpx.Headers, content: bytes) -> Answer:
        kind = headers.get("content-type", "").lower()
        is_html = "html" in kind or content.lstrip()[:1] == b"<"
        date = _parse_date(headers.get("date", ""))
        drift = (date - self._now()).total_seconds() if date else 0.0
        return Answer(status, _object(content), is_html, date, drift, self._pause(status, is_html))

    def _pause(self, status: int, is_html: bool) -> float:
        now = self._clock()
        if status == 429:
            refusal = Refusal.TOO_MANY
        elif status == 403 and is_html:
            refusal = Refusal.BANNED
        else:
            if status < 400:
                self._limiter.relax(now)
            return 0.0
        seconds = self._limiter.pause(refusal, now, self._jitter())
        log.warning("account.paused", account_id=self._account_id, refusal=refusal.value, seconds=round(seconds, 2))
        return seconds


async def _bounded(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAXIMUM_ANSWER_BYTES:
            return b""
        parts.append(part)
    return b"".join(parts)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
