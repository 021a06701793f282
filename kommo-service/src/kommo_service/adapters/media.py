"""Looking at a file that a client sent: no token, no cookie, no other host, no private address, no end of bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin

import httpx

from kommo_service.adapters.kommo_http import USER_AGENT
from kommo_service.adapters.metrics import MEDIA_INSPECTIONS
from kommo_service.domain.media import (
    MOST_BYTES,
    MediaFacts,
    MediaOutcome,
    declared,
    is_public,
    is_redirect,
    not_allowed,
    refusal,
    sized,
    unreachable,
)
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.deadline import call_timeout
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.media_links import MediaLink, media_link

LIMIT_SECONDS = 4.0
MOST_REDIRECTS = 1

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

log = get_logger()


async def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host; none when it has no name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class MediaInspector:
    """Asks the servers of files for type and size.

    Args:
        client: connections that follow no redirect, keep no cookie and carry no token.
        resolve: returns the addresses of a host; what is connected to is one of them and nothing else.
        limit_seconds: longest time for one file.
    """

    client: httpx.AsyncClient
    resolve: Resolve = resolved
    limit_seconds: float = LIMIT_SECONDS

    async def inspect(self, account: Account, url: str) -> MediaFacts:
        """Return what is known of a file; whatever goes wrong is an outcome."""
        facts = await self._inspected(account, url)
        MEDIA_INSPECTIONS.labels(facts.outcome.value).inc()
        log.info(
            "media.inspected",
            account_id=account.id,
            outcome=facts.outcome.value,
            reason=facts.reason,
            size_bytes=facts.size_bytes,
        )
        return facts

    async def _inspected(self, account: Account, url: str) -> MediaFacts:
        try:
            async with asyncio.timeout(call_timeout(self.limit_seconds)):
                return await self._followed(account, url)
        except (TimeoutError, httpx.TimeoutException):
            return unreachable("timed_out")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return unreachable("broken_off")

    async def _followed(self, account: Account, url: str) -> MediaFacts:
        for _ in range(MOST_REDIRECTS + 1):
            link = media_link(url, account)
            if isinstance(link, str):
                return not_allowed(link)
            address = await self._address(link)
            if isinstance(address, MediaFacts):
                return address
            answer = await self._asked(link, address)
            if isinstance(answer, MediaFacts):
                return answer
            url = urljoin(url, answer)
        return not_allowed("redirected")

    async def _address(self, link: MediaLink) -> str | MediaFacts:
        addresses = await self.resolve(link.host, link.port)
        if not addresses:
            return unreachable("no_address")
        if not link.is_local and not is_public(addresses):
            return not_allowed("private_address")
        return addresses[0]

    async def _asked(self, link: MediaLink, address: str) -> MediaFacts | str:
        """Return what a server says of a file, or where it says that the file is instead."""
        # The address that was looked at is the one that is connected to: a name may mean another one a moment later.
        url = httpx.URL(link.url).copy_with(host=address)
        name = link.host if link.port in (80, 443) else f"{link.host}:{link.port}"
        headers = {"Host": name, "Accept-Encoding": "identity"}
        async with self.client.stream("GET", url, headers=headers, extensions={"sni_hostname": link.host}) as response:
            if is_redirect(response.status_code):
                return str(response.headers.get("location", ""))
            facts = refusal(response.status_code) or declared(link.url, response.headers)
            if facts.outcome is not MediaOutcome.FOUND or facts.size_bytes:
                return facts
            return sized(facts, await _counted(response))


async def _counted(response: httpx.Response) -> int:
    """Return how many bytes come, as soon as they are too many; as they were sent, so that none unpack to many."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MOST_BYTES:
            break
    return size


@asynccontextmanager
async def open_media_inspector(resolve: Resolve = resolved) -> AsyncIterator[MediaInspector]:
    """Give an inspector while inside.

    No connection is kept: it is known by its address alone, under which another host may answer as well.
    """
    async with httpx.AsyncClient(
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"User-Agent": USER_AGENT},
    ) as client:
        yield MediaInspector(client, resolve)
