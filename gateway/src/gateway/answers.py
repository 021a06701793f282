"""What the web half answers, and how an answer leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Send

JSON = b"application/json"
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its JSON, and fields for the log line of its request."""

    status: int
    content: Mapping[str, Any]
    headers: tuple[tuple[bytes, bytes], ...] = ()
    logged: Mapping[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """The request is refused.

    Args:
        status: HTTP status.
        code: machine-readable name of the problem.
        message: what the sender can do about it.
        retry_after: seconds after which to try again; None when a repeat is of no use.
        logged: fields for the log line.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: int | None = None,
        logged: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.logged = logged or {}

    def answer(self) -> Answer:
        """Return the answer that says so."""
        content = {"status": "error", "error": self.code, "message": self.message}
        headers = () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)
        return Answer(self.status, content, headers, {**self.logged, "error": self.code})


def unauthenticated() -> Refused:
    """Return the refusal of whatever is not authenticated, the same for every cause."""
    return Refused(401, "unauthenticated", "The secret, signature or account of this request is not valid here.")


def not_stored(code: str, logged: Mapping[str, Any]) -> Refused:
    """Return the refusal of what could not be stored."""
    # 503, not 200: what is not stored must not look accepted, and Kommo repeats it.
    message = "The messages could not be stored; send the same request again."
    return Refused(503, code, message, retry_after=RETRY_AFTER_SECONDS, logged=logged)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer as JSON."""
    body = msgspec.json.encode(answer.content)
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode()), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
