"""Answers as Kommo gives them: HAL, problem+json, empty ones, and the reading of JSON bodies."""

from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MAXIMUM_BODY_BYTES = 1024 * 1024
PROBLEM = "application/problem+json"
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
}
T = TypeVar("T")


class Problem(HTTPException):
    """A failure that the caller sees as problem+json."""

    def __init__(self, status: int, detail: str, path: str | None = None) -> None:
        super().__init__(status, detail)
        self.path = path


class Json(JSONResponse):
    """A JSON answer; takes dictionaries, dataclasses and structs."""

    def render(self, content: Any) -> bytes:
        """Return the encoded content."""
        return msgspec.json.encode(content)


class Hal(Json):
    """A JSON answer of the REST API."""

    media_type = "application/hal+json"


def problem_body(status: int, detail: str, path: str | None = None) -> dict[str, Any]:
    """Return the body of a problem, with the validation part when a path is given."""
    body: dict[str, Any] = {
        "title": _TITLES.get(status, "Error"),
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
    }
    if path is not None:
        error = {"code": "NotSupportedChoice", "path": path, "detail": detail}
        body["validation-errors"] = [{"request_id": "0", "errors": [error]}]
        body["detail"] = "Request validation failed"
    return body


async def on_problem(_request: Request, error: Exception) -> Response:
    """Answer a raised `HTTPException` as problem+json."""
    assert isinstance(error, HTTPException)
    body = problem_body(error.status_code, error.detail, getattr(error, "path", None))
    return Json(body, error.status_code, media_type=PROBLEM)


async def read_body(request: Request) -> bytes:
    """Return the request's body.

    Raises:
        Problem: it is longer than `MAXIMUM_BODY_BYTES`.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAXIMUM_BODY_BYTES:
            raise Problem(413, "Body is too large")
        parts.append(part)
    return b"".join(parts)


async def read_json(request: Request, kind: type[T]) -> T:
    """Return the request's JSON body as `kind`; an empty body counts as an empty object.

    Raises:
        Problem: it is no JSON, or not of this kind.
    """
    body = await read_body(request)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Problem(400, str(error), _path_of(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "Body is not valid JSON") from error


def page_of(request: Request, default: int = 50) -> tuple[int, int]:
    """Return `page` (from 1) and `limit` (1 to 250) of a list request.

    Raises:
        Problem: one of them is out of range.
    """
    return number(request, "page", 1, 1_000_000), number(request, "limit", default, 250)


def number(request: Request, name: str, default: int, maximum: int, minimum: int = 1) -> int:
    """Return a whole number of the query string.

    Raises:
        Problem: it is no number, or out of range.
    """
    text = request.query_params.get(name, str(default))
    value = int(text) if text.isdecimal() and len(text) < 12 else -1
    if not minimum <= value <= maximum:
        raise Problem(400, f"{name} is from {minimum} to {maximum}", name)
    return value


def page_links(request: Request, has_next: bool, page: int) -> dict[str, Any]:
    """Return the `_links` of a page."""
    links = {"self": {"href": str(request.url)}}
    if has_next:
        links["next"] = {"href": str(request.url.include_query_params(page=page + 1))}
    return links


def _path_of(text: str) -> str:
    return text.rpartition("`$")[2].strip("`.") if "`$" in text else ""
