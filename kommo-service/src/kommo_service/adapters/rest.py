"""Requests of the REST API, with whichever of the account's tokens Kommo takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from kommo_service.adapters.kommo_http import KommoHttp, Request
from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.limiter import Use

_NO_TOKEN = Answer(401)


class Rest:
    """The REST API of one account.

    Args:
        http: the account's host.
        tokens: returns the valid tokens, the newest first; asked for each request, so that rotation counts at once.
    """

    def __init__(self, http: KommoHttp, tokens: Callable[[], Sequence[SecretStr]]) -> None:
        self.http = http
        self._tokens = tokens

    async def get(self, operation: str, path: str, query: Mapping[str, str]) -> Answer | Failure:
        """Return the answer of a reading."""
        return await self._ask(Use.READ, operation, "GET", path, b"", query)

    async def post(
        self, operation: str, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Answer | Failure:
        """Return the answer of an addition."""
        return await self._ask(Use.SEND, operation, "POST", path, _json(body), None)

    async def patch(self, operation: str, path: str, body: Mapping[str, Any]) -> Answer | Failure:
        """Return the answer of a change."""
        return await self._ask(Use.SEND, operation, "PATCH", path, _json(body), None)

    async def _ask(
        self, use: Use, operation: str, method: str, path: str, body: bytes, query: Mapping[str, str] | None
    ) -> Answer | Failure:
        answer: Answer | Failure = _NO_TOKEN
        for number, token in enumerate(self._tokens()):
            if not token.get_secret_value().isascii():
                # No header can carry it, so Kommo would know it as little as a wrong one.
                continue
            if number:
                self.http.count(use)
            headers = {"Authorization": f"Bearer {token.get_secret_value()}", "Accept": "application/json"}
            if body:
                headers["Content-Type"] = "application/json"
            answer = await self.http.ask(Request(operation, method, path, headers, body, query))
            # A refused token means that nothing happened, so the one before it may be tried.
            if isinstance(answer, Failure) or answer.status != 401:
                return answer
        return answer


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
