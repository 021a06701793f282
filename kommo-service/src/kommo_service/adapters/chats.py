"""Signed requests of the Chats API, for the channel that an account registered itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from kommo_service.adapters.kommo_http import KommoHttp, Request
from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.limiter import Use
from kommo_service.domain.signature import http_date, signed_headers

_NO_SECRET = Answer(403)


class Chats:
    """The Chats API of one channel in one account.

    Args:
        http: the account's host of that API.
        scope_id: the channel in the account.
        secrets: returns the valid channel secrets, the newest first.
        now: returns the time, for the Date header of each attempt.
    """

    def __init__(
        self,
        http: KommoHttp,
        scope_id: str,
        secrets: Callable[[], Sequence[SecretStr]],
        now: Callable[[], datetime],
    ) -> None:
        self.http = http
        self._path = f"/v2/origin/custom/{quote(scope_id, safe='')}"
        self._secrets = secrets
        self._now = now

    async def new_message(self, payload: Mapping[str, Any]) -> Answer | Failure:
        """Return the answer of a new message."""
        body = json.dumps({"event_type": "new_message", "payload": payload}, ensure_ascii=False).encode()
        return await self._ask(Use.SEND, "new_message", "POST", self._path, body, None)

    async def create_chat(self, body: Mapping[str, Any]) -> Answer | Failure:
        """Return the answer of making a chat; one that exists is answered alike."""
        return await self._ask(Use.SEND, "create_chat", "POST", f"{self._path}/chats", _json(body), None)

    async def set_status(self, message_id: str, body: Mapping[str, Any]) -> Answer | Failure:
        """Return the answer of saying how far a message got; it is named by Kommo's id."""
        path = f"{self._path}/{quote(message_id, safe='')}/delivery_status"
        return await self._ask(Use.SEND, "delivery_status", "POST", path, _json(body), None)

    async def history(self, chat_id: str, offset: int, limit: int) -> Answer | Failure:
        """Return the answer of one page of a chat's history; the chat is named by Kommo's id."""
        path = f"{self._path}/chats/{quote(chat_id, safe='')}/history"
        return await self._ask(Use.READ, "history", "GET", path, b"", {"offset": str(offset), "limit": str(limit)})

    async def _ask(
        self, use: Use, operation: str, method: str, path: str, body: bytes, query: Mapping[str, str] | None
    ) -> Answer | Failure:
        answer: Answer | Failure = _NO_SECRET
        for number, secret in enumerate(self._secrets()):
            if number:
                self.http.count(use)
            headers = signed_headers(secret.get_secret_value(), method, path, body, http_date(self._now()))
            answer = await self.http.ask(Request(operation, method, path, headers, body, query))
            if isinstance(answer, Failure) or answer.status != 403 or answer.is_html:
                return answer
        return answer


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
