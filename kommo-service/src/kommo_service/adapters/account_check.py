"""Looks at one account from its file to Kommo's answers, and says in plain words what has to be repaired."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from kommo_service.adapters.account_settings_check import settings_findings, texts_of
from kommo_service.adapters.kommo_http import KommoHttp, Request
from kommo_service.domain import channel_check, salesbot_check, token_check, webhook_check
from kommo_service.domain.account_answer import (
    clock,
    identity,
    plan,
    reached,
    refused_scopes,
)
from kommo_service.domain.classification import Answer, Failure, objects
from kommo_service.domain.findings import Finding, Severity, fine, problem, unknown
from kommo_service.domain.limiter import KommoRateLimited, Use
from kommo_service.domain.signature import http_date, signed_headers
from kommo_service.domain.webhook_check import Subscription, Wanted
from kommomesh_runtime.accounts import Account, ChannelConfig

LONGEST_WAIT_SECONDS = 5.0
# No talk has this id, and the text is empty: whatever Kommo looks at first, nobody gets a message.
PROBE_TALK = "/api/v4/talks/0"
WEBHOOKS = "/api/v4/webhooks"


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What to check an account for.

    Args:
        is_fixing: repair what can be repaired in Kommo: subscription and channel connection.
        public_url: where Kommo reaches the gateway; empty means as the account file says.
        is_whole: whether this process may be expected to have every secret and the profile.
    """

    is_fixing: bool = False
    public_url: str = ""
    is_whole: bool = True


@dataclass(slots=True)
class AccountCheck:
    """One check of one account.

    Args:
        account: the account.
        others: the other accounts of the mesh.
        host: opens a host of the account, within the account's limits.
        now: returns the time.
        order: what to check.
    """

    account: Account
    others: Iterable[Account]
    host: Callable[[str], KommoHttp]
    now: Callable[[], datetime]
    order: CheckOrder = field(default_factory=CheckOrder)

    async def run(self) -> list[Finding]:
        """Return everything that was looked at; nothing is changed in Kommo unless the order says so."""
        found = settings_findings(self.account, self.others, self._public_url, is_whole=self.order.is_whole)
        try:
            return found + await self._asked()
        except KommoRateLimited as refused:
            text = f"Kommo refused lately, and rests for {refused.retry_after or 0:.0f} s more."
            return [
                *found,
                problem("limit", text, "Run the check again then; find out who else uses the account's limit."),
            ]

    @property
    def _public_url(self) -> str:
        return (self.order.public_url or self.account.public_url).rstrip("/")

    async def _asked(self) -> list[Finding]:
        tokens = texts_of(self.account, "access_token")
        if not tokens or self.account.authorization == "oauth":
            return [unknown("kommo", "Not asked: there is no access token that can be used.")]
        rest = _Rest(self.host(self.account.kommo_base_url), tokens[0])
        claims = token_check.claims_of(tokens[0])
        found = [
            one for one in (token_check.expiry(claims, self.now()), token_check.owner(claims, self.account.id)) if one
        ]
        answer = await rest.ask("get_account", "GET", "/api/v4/account", {"with": "amojo_id"})
        failed = reached(answer, self.account.kommo_base_url)
        if isinstance(answer, Failure) or failed:
            return [*found, *([failed] if failed else [])]
        found += [clock(answer), *identity(answer.body, self.account.id, self.account.subdomain)]
        found += await self._rights(rest, claims)
        found += await self._webhook(rest)
        found += await self._salesbot(rest)
        if self.account.channel:
            found += await self._channel(rest, self.account.channel, str(answer.body.get("amojo_id") or ""))
        return found

    async def _rights(self, rest: "_Rest", claims: token_check.Claims | None) -> list[Finding]:
        sending = await rest.ask("probe_send", "POST", f"{PROBE_TALK}/send_message", body={"text": ""})
        reading = await rest.ask("probe_read", "GET", f"{PROBE_TALK}/messages", {"limit": "1"})
        return [token_check.scopes(claims, refused_scopes(sending, reading)), *plan(sending)]

    async def _salesbot(self, rest: "_Rest") -> list[Finding]:
        field_id = self.account.salesbot.field_id
        if "salesbot_field" not in self.account.transports or field_id is None:
            return []
        answer = await rest.ask("get_field", "GET", f"{salesbot_check.FIELD_PATH}/{field_id}")
        return [salesbot_check.field(answer, field_id, self.account.salesbot.field_limit)]

    async def _webhook(self, rest: "_Rest") -> list[Finding]:
        found = await self._subscriptions(rest)
        if isinstance(found, Finding):
            return [found]
        wanted = Wanted(self._public_url, texts_of(self.account, "webhook_secret"))
        findings = webhook_check.subscription(found, wanted)
        destination = wanted.destination(found)
        is_wrong = any(one.severity in (Severity.PROBLEM, Severity.WARNING) for one in findings)
        if not (self.order.is_fixing and is_wrong and destination):
            return findings
        events = set(webhook_check.WANTED_EVENTS).union(
            *(one.events for one in found if one.destination == destination)
        )
        body = {"destination": destination, "settings": sorted(events)}
        answer = await rest.ask("add_webhook", "POST", WEBHOOKS, body=body)
        if isinstance(answer, Failure) or answer.status not in (200, 201):
            said = answer.value if isinstance(answer, Failure) else f"{answer.status} {answer.detail}".strip()
            return [*findings, problem("webhook_fix", f"Kommo did not take the subscription: {said}.", "See above.")]
        again = await self._subscriptions(rest)
        shown = [again] if isinstance(again, Finding) else webhook_check.subscription(again, wanted)
        return [fine("webhook_fix", "Subscribed."), *shown]

    async def _subscriptions(self, rest: "_Rest") -> list[Subscription] | Finding:
        answer = await rest.ask("list_webhooks", "GET", WEBHOOKS)
        if isinstance(answer, Failure) or answer.status not in (200, 204):
            return webhook_check.not_readable(0 if isinstance(answer, Failure) else answer.status)
        return [Subscription.of(item) for item in answer.embedded("webhooks")]

    async def _channel(self, rest: "_Rest", channel: ChannelConfig, amojo_id: str) -> list[Finding]:
        facts = channel_check.ChannelFacts(channel.scope_id, channel.channel_id, channel.amojo_id, channel.bot_id)
        found = [one for one in (channel_check.identity(facts, amojo_id), channel_check.bot(facts)) if one]
        secrets = texts_of(self.account, "channel_secret")
        if secrets:
            chats = _Chats(self.host(self.account.chats_base_url), secrets[0], self.now)
            found.append(await self._connection(chats, channel, amojo_id))
        answer = await rest.ask("list_users", "GET", "/api/v4/users", {"with": "amojo_id", "limit": "250"})
        if isinstance(answer, Answer) and answer.status == 200:
            ids = [str(user["amojo_id"]) for user in objects(answer.embedded("users")) if user.get("amojo_id")]
            found.append(channel_check.users(self.account.user_amojo_ids, ids))
        return found

    async def _connection(self, chats: "_Chats", channel: ChannelConfig, amojo_id: str) -> Finding:
        history = await chats.history(channel.scope_id)
        if history != 403:
            return channel_check.connection(history, None)
        channel_id = channel.channel_id or channel.scope_id.partition("_")[0]
        connect = await chats.connect(channel_id, {})
        if connect == 400 and self.order.is_fixing and amojo_id:
            # Source: Kommo Chats API, connect: without the version, amoCRM's default is the dead v1.
            wanted = {"account_id": amojo_id, "title": "Kommo Mesh", "hook_api_version": "v2"}
            if await chats.connect(channel_id, wanted) == 200:
                return channel_check.connection(await chats.history(channel.scope_id), connect)
        return channel_check.connection(history, connect)


async def _admitted(http: KommoHttp, use: Use) -> None:
    while True:
        try:
            http.admit(use)
        except KommoRateLimited as refused:
            if (refused.retry_after or 0.0) > LONGEST_WAIT_SECONDS:
                raise
            await asyncio.sleep(refused.retry_after or 0.0)
        else:
            return


@dataclass(frozen=True, slots=True)
class _Rest:
    """The REST API with just one token, waiting for its turn: a person can wait, and a client must not have to."""

    http: KommoHttp
    token: str

    async def ask(
        self,
        operation: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer | Failure:
        await _admitted(self.http, Use.READ)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is None:
            return await self.http.ask(Request(operation, method, path, headers, query=query))
        content = json.dumps(body, ensure_ascii=False).encode()
        return await self.http.ask(
            Request(operation, method, path, {**headers, "Content-Type": "application/json"}, content)
        )


@dataclass(frozen=True, slots=True)
class _Chats:
    """Signed requests whose status is all that matters; 0 stands for no answer."""

    http: KommoHttp
    secret: str
    now: Callable[[], datetime]

    async def history(self, scope_id: str) -> int:
        path = f"/v2/origin/custom/{quote(scope_id, safe='')}/chats/{uuid4()}/history"
        return await self._ask("probe_history", "GET", path, b"")

    async def connect(self, channel_id: str, body: Mapping[str, Any]) -> int:
        path = f"/v2/origin/custom/{quote(channel_id, safe='')}/connect"
        return await self._ask("connect", "POST", path, json.dumps(body).encode())

    async def _ask(self, operation: str, method: str, path: str, body: bytes) -> int:
        await _admitted(self.http, Use.READ)
        headers = signed_headers(self.secret, method, path, body, http_date(self.now()))
        answer = await self.http.ask(Request(operation, method, path, headers, body))
        return 0 if isinstance(answer, Failure) else answer.status
