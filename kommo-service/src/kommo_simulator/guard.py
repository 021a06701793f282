"""The gates: request limits and bearer token on the REST API, no foreign web pages on the control API."""

import hmac
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kommo_simulator.answers import PROBLEM, Json, problem_body
from kommo_simulator.limits import FORBIDDEN_PAGE, TOO_MANY_PAGE, RateLimit, Verdict

_REFUSALS = {Verdict.TOO_MANY: (TOO_MANY_PAGE, 429), Verdict.BANNED: (FORBIDDEN_PAGE, 403)}


class Guard:
    """Lets requests to /api/ pass that are within the limits and carry the token, and to /control/ no foreign pages."""

    def __init__(self, app: ASGIApp, limit: RateLimit, token: str, is_withdrawn: Callable[[], bool]) -> None:
        self._app = app
        self._limit = limit
        self._is_withdrawn = is_withdrawn
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["path"].startswith("/api/"):
            return self._rest_refusal(headers.get(b"authorization", b""))
        if scope["path"].startswith("/control/") and _is_foreign(headers):
            return Json(problem_body(403, "Origin is another site"), 403, media_type=PROBLEM)
        return None

    def _rest_refusal(self, authorization: bytes) -> Response | None:
        verdict = self._limit.verdict(authorization.decode("latin-1"))
        if verdict in _REFUSALS:
            page, status = _REFUSALS[verdict]
            return Response(page, status, media_type="text/html")
        if self._is_withdrawn() or not hmac.compare_digest(authorization, self._expected):
            return Json(problem_body(401, "Unauthorized"), 401, media_type=PROBLEM)
        return None


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    origin = headers.get(b"origin")
    return origin is not None and origin.rpartition(b"//")[2] != headers.get(b"host")
