"""Signed posts to the relays of own channels."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from kommo_service.adapters.kommo_http import new_client
from kommo_service.domain.classification import Failure
from kommo_service.domain.relay_posts import SIGNATURE_REFUSALS, RelayAnswer, seconds_of
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.deadline import call_timeout
from kommomesh_runtime.relay import signed_headers

LIMIT_SECONDS = 8.0
CONNECT_SECONDS = 3.0
MAXIMUM_ANSWER_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class RelayPoster:
    """Posts to the address that an account names, over connections that follow no redirect and keep no cookie.

    Args:
        client: the connections.
        now: returns the time, for the signature of each attempt.
    """

    client: httpx.AsyncClient
    now: Callable[[], datetime]

    async def post(self, account: Account, body: bytes) -> RelayAnswer | Failure | None:
        """Post and return the answer, why there is none, or None where the account has no relay to post to."""
        url = account.channel.relay_url if account.channel else ""
        answer: RelayAnswer | Failure | None = None
        for secret in account.secret("relay_secret") if url else ():
            answer = await self._posted(url, body, signed_headers(secret.get_secret_value(), body, uuid4(), self.now()))
            # A refused signature means that nothing happened, and the relay may not have the new secret yet.
            if isinstance(answer, Failure) or answer.status not in SIGNATURE_REFUSALS:
                return answer
        return answer

    async def _posted(self, url: str, body: bytes, headers: Mapping[str, str]) -> RelayAnswer | Failure:
        try:
            async with asyncio.timeout(call_timeout(LIMIT_SECONDS)):
                return await self._exchange(url, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return Failure.NOT_CONNECTED
        except (TimeoutError, httpx.TimeoutException):
            return Failure.TIMED_OUT
        except (httpx.HTTPError, httpx.InvalidURL):
            return Failure.BROKEN_OFF

    async def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> RelayAnswer:
        timeout = httpx.Timeout(LIMIT_SECONDS, connect=CONNECT_SECONDS)
        async with self.client.stream("POST", url, content=body, headers=headers, timeout=timeout) as response:
            retry_after = seconds_of(response.headers.get("retry-after", ""))
            return RelayAnswer(response.status_code, retry_after, await _object(response))


async def _object(response: httpx.Response) -> Mapping[str, Any]:
    """Return the object of an answer; nothing for any other answer, and for one that is too large."""
    content = b""
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MAXIMUM_ANSWER_BYTES:
            return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@asynccontextmanager
async def open_relay_poster(now: Callable[[], datetime]) -> AsyncIterator[RelayPoster]:
    """Give a poster while inside."""
    async with new_client() as client:
        yield RelayPoster(client, now)
