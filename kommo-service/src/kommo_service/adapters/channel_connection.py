"""Connecting an own channel to its account, and disconnecting it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from kommo_service.adapters.kommo_http import KommoHttp, Request
from kommo_service.adapters.rest import Rest
from kommo_service.domain.channel_check import ConnectionRefused, refused_connection
from kommo_service.domain.classification import Answer
from kommo_service.domain.limiter import Use
from kommo_service.domain.signature import http_date, signed_headers
from kommomesh_runtime.accounts import Account, ChannelConfig

TITLE = "Kommo Mesh"


@dataclass(frozen=True, slots=True)
class Connection:
    """A channel that is connected to an account: where Kommo knows it, and which hooks it gets."""

    scope_id: str
    hook_api_version: str


@dataclass(frozen=True, slots=True)
class ChannelConnector:
    """Connects and disconnects the channel of one account.

    Args:
        account: the account.
        host: opens a host of the account, within its limits.
        now: returns the time, for the signature.
    """

    account: Account
    host: Callable[[str], KommoHttp]
    now: Callable[[], datetime]

    async def connect(self, title: str = TITLE) -> Connection:
        """Connect the channel, with hooks of version v2; a repeat changes nothing but the title.

        Raises:
            ConnectionRefused: Kommo did not take it, or something is missing; the text says what to do.
        """
        channel, secret = self._channel(), self._secret()
        # Source: Kommo Chats API, connect: without the version, amoCRM's default is the dead v1.
        body = {"account_id": await self._amojo_id(channel), "title": title, "hook_api_version": "v2"}
        answer = await self._ask(channel, secret, "connect", "POST", body)
        scope_id = answer.body.get("scope_id")
        if not isinstance(scope_id, str) or not scope_id:
            raise ConnectionRefused("Kommo's answer names no scope_id; run the command again later.")
        return Connection(scope_id, str(answer.body.get("hook_api_version") or ""))

    async def disconnect(self) -> None:
        """Disconnect the channel from the account.

        Raises:
            ConnectionRefused: Kommo did not take it, or something is missing; the text says what to do.
        """
        channel, secret = self._channel(), self._secret()
        await self._ask(channel, secret, "disconnect", "DELETE", {"account_id": await self._amojo_id(channel)})

    def _channel(self) -> ChannelConfig:
        channel = self.account.channel
        if channel is None or not _channel_id(channel):
            raise ConnectionRefused("The account file names no channel; add [channel] with its channel_id.")
        return channel

    def _secret(self) -> str:
        found = next(iter(self.account.secret("channel_secret")), None)
        if found is None:
            raise ConnectionRefused("The account has no channel_secret; add it under [secrets].")
        return found.get_secret_value()

    async def _amojo_id(self, channel: ChannelConfig) -> str:
        known = channel.amojo_id or channel.scope_id.partition("_")[2]
        if known:
            return known
        rest = Rest(self.host(self.account.kommo_base_url), lambda: self.account.secret("access_token"))
        rest.http.admit(Use.READ)
        answer = await rest.get("get_account", "/api/v4/account", {"with": "amojo_id"})
        found = answer.body.get("amojo_id") if isinstance(answer, Answer) and answer.status == 200 else None
        if not isinstance(found, str) or not found:
            text = "The account's amojo_id is not known: set channel.amojo_id, or an access_token that Kommo takes."
            raise ConnectionRefused(text)
        return found

    async def _ask(
        self, channel: ChannelConfig, secret: str, operation: str, method: str, content: Mapping[str, Any]
    ) -> Answer:
        http = self.host(self.account.chats_base_url)
        http.admit(Use.SEND)
        path = f"/v2/origin/custom/{quote(_channel_id(channel), safe='')}/{operation}"
        body = json.dumps(content).encode()
        headers = signed_headers(secret, method, path, body, http_date(self.now()))
        answer = await http.ask(Request(operation, method, path, headers, body))
        if not isinstance(answer, Answer):
            raise ConnectionRefused(f"{self.account.chats_base_url} is not reached ({answer.value}); is it right?")
        if not 200 <= answer.status < 300:
            raise refused_connection(answer.status, answer.drift_seconds)
        return answer


def _channel_id(channel: ChannelConfig) -> str:
    return channel.channel_id or channel.scope_id.partition("_")[0]
