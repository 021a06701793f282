"""The routes of all accounts: transports opened once, with connections and limits of their own."""

import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from ipaddress import ip_address

import httpx

from kommo_service.adapters.chats import Chats
from kommo_service.adapters.kommo_http import KommoHttp, open_client
from kommo_service.adapters.own_channel import OwnChannel
from kommo_service.adapters.rest import Rest
from kommo_service.adapters.talk_message import TalkMessage
from kommo_service.domain.limiter import Limiter
from kommo_service.domain.outcomes import Reason
from kommo_service.domain.route import Route, Transport
from kommomesh_runtime.accounts import Account, AccountNotFound
from kommomesh_runtime.logs import get_logger

log = get_logger()


class Routes:
    """The route of each account."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes

    def get(self, account_id: str) -> Route:
        """Return the route of an account.

        Raises:
            AccountNotFound: no configured account has the id.
        """
        found = self._routes.get(account_id)
        if found is None:
            raise AccountNotFound(account_id=account_id)
        return found


@asynccontextmanager
async def open_routes(
    accounts: Iterable[Account],
    *,
    settle_seconds: float,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[Routes]:
    """Open the transports of the accounts; what an account lacks closes what needs it, and the log says so.

    Args:
        accounts: the accounts.
        settle_seconds: how old an unclear attempt must be before its absence in Kommo's record counts.
        now: returns the time.
        clock: returns seconds that only grow.
        jitter: returns 0 to 1.
    """
    async with AsyncExitStack() as stack:
        routes = {}
        for account in accounts:
            client = await stack.enter_async_context(open_client())
            host = partial(_host, client, account, now, clock, jitter)
            routes[account.id] = _route(account, host, settle_seconds, now)
        yield Routes(routes)


def _host(
    client: httpx.AsyncClient,
    account: Account,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    jitter: Callable[[], float],
    base_url: str,
) -> KommoHttp:
    limiter = Limiter(account.requests_per_second)
    return KommoHttp(client, base_url, account.id, limiter, now=now, clock=clock, jitter=jitter)


def _route(
    account: Account, host: Callable[[str], KommoHttp], settle_seconds: float, now: Callable[[], datetime]
) -> Route:
    opened: list[Transport] = []
    closed: list[Reason] = []
    for name in account.transports:
        transport = _own_channel(account, host, now) if name == "own_channel" else _talk_message(account, host, now)
        if isinstance(transport, Reason):
            log.warning("transport.closed", account_id=account.id, transport=name, reason=transport.value)
            closed.append(transport)
        else:
            opened.append(transport)
    return Route(tuple(opened), tuple(closed), settle_seconds, now)


def _talk_message(
    account: Account, host: Callable[[str], KommoHttp], now: Callable[[], datetime]
) -> Transport | Reason:
    if account.authorization == "oauth":
        return Reason.OAUTH_UNSUPPORTED
    if not account.secret("access_token"):
        return Reason.TOKEN_MISSING
    rest = Rest(host(account.kommo_base_url), partial(account.secret, "access_token"))
    return TalkMessage(rest, _is_loopback(account.kommo_base_url), now)


def _own_channel(account: Account, host: Callable[[str], KommoHttp], now: Callable[[], datetime]) -> Transport | Reason:
    if account.authorization == "oauth":
        return Reason.OAUTH_UNSUPPORTED
    channel = account.channel
    if channel is None or not channel.bot_id or not account.secret("channel_secret"):
        return Reason.CHANNEL_NOT_CONFIGURED
    chats = Chats(host(account.chats_base_url), channel.scope_id, partial(account.secret, "channel_secret"), now)
    return OwnChannel(chats, channel, now)


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
