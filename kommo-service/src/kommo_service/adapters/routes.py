"""The routes of all accounts: transports opened once, with connections and limits of their own."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address

import httpx

from kommo_service.adapters.chats import Chats
from kommo_service.adapters.hand_off import HandOffs
from kommo_service.adapters.kommo_http import READ_SECONDS, KommoHttp, new_client
from kommo_service.adapters.lead_fields import LeadFields
from kommo_service.adapters.own_channel import OwnChannel
from kommo_service.adapters.rest import Rest
from kommo_service.adapters.salesbot_field import BusyLeads, SalesbotField
from kommo_service.adapters.salesbot_return import SalesbotReturn
from kommo_service.adapters.talk_message import TalkMessage
from kommo_service.adapters.talk_reader import TalkReader
from kommo_service.adapters.talk_record import TalkRecord
from kommo_service.domain.limiter import Limiter
from kommo_service.domain.outcomes import Reason
from kommo_service.domain.route import Route, Transport
from kommomesh_runtime.accounts import Account, Accounts, SecretName
from kommomesh_runtime.accounts import Transport as TransportName
from kommomesh_runtime.logs import get_logger

ROUTE_SECRETS: tuple[SecretName, ...] = ("access_token", "channel_secret")
# A send ends with its lease, at most half a minute after it began.
LONGEST_CALL_SECONDS = 60.0
SWEEP_SECONDS = 30.0

log = get_logger()


class Routes:
    """The route of each account, as the accounts are now.

    A route is opened when it is asked for, and anew when its account has changed or a secret that it lacked is there;
    the limits of a host, and its rest after a refusal, outlive that. What an account lacks closes what needs it, and
    the log says so.

    Args:
        accounts: the accounts.
        settle_seconds: how old an unclear attempt must be before its absence in Kommo's record counts.
        now: returns the time.
        clock: returns seconds that only grow.
        jitter: returns 0 to 1.
        answer_seconds: longest wait for an answer of Kommo.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        settle_seconds: float,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        answer_seconds: float = READ_SECONDS,
    ) -> None:
        self._accounts = accounts
        self._answer_seconds = answer_seconds
        self._settle_seconds = settle_seconds
        self._now = now
        self._clock = clock
        self._jitter = jitter
        self._opened: dict[str, _Opened] = {}
        self._left: list[_Opened] = []
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self._busy_leads: BusyLeads = set()

    def get(self, account_id: str) -> Route:
        """Return the route of an account.

        Raises:
            AccountNotFound: no configured account has the id.
        """
        return self._current(account_id).route

    def hand_offs(self, account_id: str) -> HandOffs | Reason:
        """Return what carries out hand-overs in an account, or why nothing can.

        Raises:
            AccountNotFound: no configured account has the id.
        """
        return self._current(account_id).hand_offs

    def record(self, account_id: str) -> TalkRecord:
        """Return what reads Kommo's record of an account.

        Raises:
            AccountNotFound: no configured account has the id.
        """
        return self._current(account_id).record

    def _current(self, account_id: str) -> "_Opened":
        account = self._accounts.get(account_id)
        secrets = tuple(bool(account.secret(name)) for name in ROUTE_SECRETS)
        opened = self._opened.get(account_id)
        if opened is None or opened.account is not account or opened.secrets != secrets:
            if opened:
                self._leave(opened)
            opened = self._opened[account_id] = self._open(account, secrets)
        return opened

    def hosts(self, account_id: str) -> Callable[[str], KommoHttp]:
        """Return what opens a host of an account, over its connections and within its limits.

        Raises:
            AccountNotFound: no configured account has the id.
        """
        self.get(account_id)
        opened = self._opened[account_id]
        return partial(self._host, opened.client, opened.account)

    def _open(self, account: Account, secrets: tuple[bool, ...]) -> "_Opened":
        client = new_client()
        host = partial(self._host, client, account)
        route = _route(account, host, self._settle_seconds, self._busy_leads, self._now)
        rest = _rest(account, host)
        hand_offs = rest if isinstance(rest, Reason) else HandOffs(rest, self._settle_seconds, self._now)
        return _Opened(account, secrets, client, route, hand_offs, _record(account, rest, route))

    def _host(self, client: httpx.AsyncClient, account: Account, base_url: str) -> KommoHttp:
        # One host has one limit, however its address is written.
        host = (account.id, base_url.rstrip("/").lower())
        limiter = self._limiters.get(host)
        if limiter is None or limiter.rate != account.requests_per_second:
            limiter = self._limiters[host] = Limiter(account.requests_per_second)
        return KommoHttp(
            client,
            base_url,
            account.id,
            limiter,
            now=self._now,
            clock=self._clock,
            jitter=self._jitter,
            answer_seconds=self._answer_seconds,
        )

    def _leave(self, opened: "_Opened") -> None:
        opened.left_at = self._clock()
        self._left.append(opened)

    async def sweep(self) -> None:
        """Close the connections of accounts that are gone, and of former routes, once no call can use them any more."""
        for account_id in [one for one in self._opened if one not in self._accounts]:
            self._leave(self._opened.pop(account_id))
        over = self._clock() - LONGEST_CALL_SECONDS
        done = [one for one in self._left if one.left_at <= over]
        self._left = [one for one in self._left if one.left_at > over]
        for one in done:
            await one.client.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for one in (*self._opened.values(), *self._left):
            await one.client.aclose()


@dataclass(slots=True)
class _Opened:
    account: Account
    secrets: tuple[bool, ...]
    client: httpx.AsyncClient
    route: Route
    hand_offs: HandOffs | Reason
    record: TalkRecord
    left_at: float = 0.0


async def _sweep_again_and_again(routes: Routes) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await routes.sweep()


@asynccontextmanager
async def open_routes(
    accounts: Accounts,
    *,
    settle_seconds: float,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
    answer_seconds: float = READ_SECONDS,
) -> AsyncIterator[Routes]:
    """Give the routes of the accounts while inside; see `Routes`."""
    routes = Routes(
        accounts,
        settle_seconds=settle_seconds,
        now=now,
        clock=clock,
        jitter=jitter,
        answer_seconds=answer_seconds,
    )
    for account in accounts:
        routes.get(account.id)
    sweeper = asyncio.create_task(_sweep_again_and_again(routes), name="routes-sweeper")
    try:
        yield routes
    finally:
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        await routes.aclose()


def _route(
    account: Account,
    host: Callable[[str], KommoHttp],
    settle_seconds: float,
    busy: BusyLeads,
    now: Callable[[], datetime],
) -> Route:
    opened: list[Transport] = []
    closed: list[Reason] = []
    opener_of: Mapping[TransportName, Callable[[], Transport | Reason]] = {
        "talk_message": lambda: _talk_message(account, host, now),
        "salesbot_field": lambda: _salesbot_field(account, host, busy, now),
        "salesbot_return": lambda: _salesbot_return(account, host, now),
        "own_channel": lambda: _own_channel(account, host, now),
    }
    for name in account.transports:
        transport = opener_of[name]()
        if isinstance(transport, Reason):
            log.warning("transport.closed", account_id=account.id, transport=name, reason=transport.value)
            closed.append(transport)
        else:
            opened.append(transport)
    return Route(tuple(opened), tuple(closed), settle_seconds, now)


def _rest(account: Account, host: Callable[[str], KommoHttp]) -> Rest | Reason:
    if account.authorization == "oauth":
        return Reason.OAUTH_UNSUPPORTED
    if not account.secret("access_token"):
        return Reason.TOKEN_MISSING
    return Rest(host(account.kommo_base_url), partial(account.secret, "access_token"))


def _record(account: Account, rest: Rest | Reason, route: Route) -> TalkRecord:
    reader = rest if isinstance(rest, Reason) else TalkReader(rest, _is_loopback(account.kommo_base_url))
    channel = next((one for one in route.transports if isinstance(one, OwnChannel)), None)
    return TalkRecord(account.id, reader, channel)


def _talk_message(
    account: Account, host: Callable[[str], KommoHttp], now: Callable[[], datetime]
) -> Transport | Reason:
    rest = _rest(account, host)
    return rest if isinstance(rest, Reason) else TalkMessage(rest, _is_loopback(account.kommo_base_url), now)


def _salesbot_field(
    account: Account, host: Callable[[str], KommoHttp], busy: BusyLeads, now: Callable[[], datetime]
) -> Transport | Reason:
    rest, bots = _rest(account, host), account.salesbot
    if isinstance(rest, Reason):
        return rest
    if bots.field_id is None or bots.bot_id is None:
        return Reason.SALESBOT_NOT_CONFIGURED
    reader = TalkReader(rest, _is_loopback(account.kommo_base_url))
    fields = LeadFields(rest, bots.field_id, bots.bot_id)
    return SalesbotField(fields, reader, bots.field_limit, bots.wait_seconds, busy, now)


def _salesbot_return(
    account: Account, host: Callable[[str], KommoHttp], now: Callable[[], datetime]
) -> Transport | Reason:
    rest, bots = _rest(account, host), account.salesbot
    if isinstance(rest, Reason):
        return rest

    def rest_of(base_url: str) -> Rest:
        return Rest(host(base_url), partial(account.secret, "access_token"))

    reader = TalkReader(rest, _is_loopback(account.kommo_base_url))
    return SalesbotReturn(account, reader, rest_of, bots.return_mode, bots.wait_seconds, now)


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
