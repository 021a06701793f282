"""What Kommo's answers, and the lack of one, mean for a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from kommo_service.domain.outcomes import (
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    Unclear,
)

# Long enough for a queued message to show up in the talk, short enough for a client who waits.
UNCLEAR_SECONDS = 5.0
CONNECTION_SECONDS = 5.0
DRIFT_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of Kommo.

    Args:
        status: HTTP status.
        body: the JSON object; empty for anything else.
        is_html: the web server in front of Kommo answered, not Kommo.
        date: the Date header.
        drift_seconds: how far Kommo's clock is ahead of ours, by that header; 0 when unknown.
        pause_seconds: how long the account is paused because of this answer.
    """

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    is_html: bool = False
    date: datetime | None = None
    drift_seconds: float = 0.0
    pause_seconds: float = 0.0

    @property
    def detail(self) -> str:
        """What Kommo says about a failure; empty when it says nothing."""
        return str(self.body.get("detail") or "")

    @property
    def has_next(self) -> bool:
        """Whether the list goes on."""
        links = self.body.get("_links")
        return isinstance(links, dict) and bool(links.get("next"))

    def embedded(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the items of a list of the REST API."""
        embedded = self.body.get("_embedded")
        return objects(embedded.get(name) if isinstance(embedded, dict) else None)


class Failure(Enum):
    """Why there is no answer."""

    NOT_CONNECTED = "not_connected"
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"


_UNANSWERED: Mapping[Failure, Outcome] = {
    Failure.NOT_CONNECTED: RetryLater(CONNECTION_SECONDS, Reason.CONNECTION_FAILED),
    Failure.TIMED_OUT: Unclear(UNCLEAR_SECONDS, Reason.TIMEOUT),
    Failure.BROKEN_OFF: Unclear(UNCLEAR_SECONDS, Reason.CONNECTION_LOST),
}
_TALK_REFUSALS: Mapping[int, Reason] = {
    400: Reason.INVALID_TEXT,
    401: Reason.TOKEN_REFUSED,
    403: Reason.SCOPE_MISSING,
    404: Reason.TALK_NOT_FOUND,
    422: Reason.TALK_CLOSED,
}
_CHANGE_REFUSALS: dict[int, Reason] = {
    400: Reason.INVALID_ACTION,
    401: Reason.TOKEN_REFUSED,
    403: Reason.SCOPE_MISSING,
    404: Reason.ENTITY_NOT_FOUND,
    422: Reason.INVALID_ACTION,
}
_FIELD_REFUSALS: Mapping[int, Reason] = _CHANGE_REFUSALS | {400: Reason.FIELD_REFUSED, 422: Reason.FIELD_REFUSED}
_BOT_REFUSALS: dict[int, Reason] = {
    400: Reason.BOT_REFUSED,
    401: Reason.TOKEN_REFUSED,
    403: Reason.SCOPE_MISSING,
    404: Reason.BOT_NOT_FOUND,
    422: Reason.BOT_REFUSED,
}
_CONTINUATION_REFUSALS: Mapping[int, Reason] = _BOT_REFUSALS | {404: Reason.CONTINUATION_GONE}
_CHANNEL_REFUSALS: Mapping[int, Reason] = {
    400: Reason.INVALID_TEXT,
    401: Reason.SIGNATURE_REFUSED,
    403: Reason.SIGNATURE_REFUSED,
    404: Reason.CHANNEL_NOT_FOUND,
}


def of_talk_send(answer: Answer | Failure) -> Outcome:
    """Return what became of one `send_message` request.

    Source: Kommo, sending a message to a conversation; answers 202 to 429.
    """
    shared = _of_any(answer)
    if shared is not None:
        return shared
    assert isinstance(answer, Answer)
    if answer.status == 402:
        return TryAnotherWay(_payment_reason(answer.detail))
    if 200 <= answer.status < 300:
        return Sent(_ids(answer.body.get("id")))
    return TryAnotherWay(_TALK_REFUSALS.get(answer.status, Reason.UNEXPECTED_ANSWER))


def of_channel_send(answer: Answer | Failure) -> Outcome:
    """Return what became of one `new_message` request, before a refusal is compared with the history.

    Source: Kommo Chats API, sending messages; `msgid` of the answer is Kommo's id.
    """
    shared = _of_any(answer)
    if shared is not None:
        return shared
    assert isinstance(answer, Answer)
    if 200 <= answer.status < 300:
        taken = answer.body.get("new_message")
        return Sent(_ids(taken.get("msgid") if isinstance(taken, dict) else None))
    if _is_drift(answer):
        return TryAnotherWay(Reason.CLOCK_DRIFT)
    return TryAnotherWay(_CHANNEL_REFUSALS.get(answer.status, Reason.UNEXPECTED_ANSWER))


def of_change(answer: Answer | Failure, name: str) -> Outcome:
    """Return what became of an addition to the CRM, or of a change there.

    Args:
        answer: what came.
        name: the list of the answer that names what was added, such as `notes`.

    Source: Kommo, notes, tasks and leads; errors of the REST API.
    """
    shared = _of_any(answer)
    if shared is not None:
        return shared
    assert isinstance(answer, Answer)
    if answer.status == 402:
        return TryAnotherWay(_payment_reason(answer.detail))
    if 200 <= answer.status < 300:
        added = answer.embedded(name)
        return Sent(_ids(added[0].get("id")) if added else ())
    return TryAnotherWay(_CHANGE_REFUSALS.get(answer.status, Reason.UNEXPECTED_ANSWER))


def of_field_access(answer: Answer | Failure) -> Outcome | None:
    """Return what a failed reading or writing of a lead's field means; None when it worked.

    Nobody gets a message by it, so that it may be repeated whatever became of it.

    Source: Kommo, leads; errors of the REST API.
    """
    if isinstance(answer, Answer) and answer.status in (204, 404):
        return TryAnotherWay(Reason.ENTITY_NOT_FOUND)
    if isinstance(answer, Answer) and answer.status == 402:
        return TryAnotherWay(_payment_reason(answer.detail))
    return _of_lookup(answer, _FIELD_REFUSALS)


def of_bot_run(answer: Answer | Failure) -> Outcome:
    """Return what became of the launch of a bot; taken is not printed yet.

    Source: Kommo, launching a Salesbot: 202 with the text `Accepted`.
    """
    return _of_bot(answer, _BOT_REFUSALS)


def of_continuation(answer: Answer | Failure) -> Outcome:
    """Return what became of a bot's continuation; taken is not printed yet.

    Source: Kommo Salesbot, continuation: 202, or 404 where the bot was stopped, continued before or waited too long.
    """
    return _of_bot(answer, _CONTINUATION_REFUSALS)


def of_rest_lookup(answer: Answer | Failure) -> Outcome | None:
    """Return what a failed look into the CRM means for an action not carried out yet; None when it worked.

    What does not exist (404, or 204 without a body) is an answer too.
    """
    return _of_lookup(answer, _CHANGE_REFUSALS)


def is_refusal_of_content(answer: Answer | Failure) -> bool:
    """Tell whether the message itself was refused, which a repeated `msgid` is as well."""
    return isinstance(answer, Answer) and answer.status in (400, 409, 422)


def of_read(answer: Answer | Failure) -> Unclear | TellPerson | None:
    """Return what a read-back that did not work means for its message; None when it worked.

    A talk or chat that does not exist (404) holds no message, so it counts as read.
    """
    if isinstance(answer, Failure):
        reason = Reason.TIMEOUT if answer is Failure.TIMED_OUT else Reason.CONNECTION_FAILED
        return Unclear(UNCLEAR_SECONDS, reason)
    if answer.status == 404 or 200 <= answer.status < 300:
        return None
    shared = _of_any(answer)
    if isinstance(shared, RetryLater | Unclear):
        return Unclear(shared.after, shared.reason)
    return TellPerson(Reason.READ_BACK_REFUSED)


def of_talk_lookup(answer: Answer | Failure) -> Outcome | None:
    """Return what a failed search for the talk means for a message not sent yet; None when it worked."""
    if isinstance(answer, Answer) and answer.status == 402:
        return TryAnotherWay(_payment_reason(answer.detail))
    return _of_lookup(answer, _TALK_REFUSALS)


def of_channel_lookup(answer: Answer | Failure) -> Outcome | None:
    """Return what a failed reading of the history means for a message not sent yet; None when it worked."""
    if isinstance(answer, Answer) and _is_drift(answer):
        return TryAnotherWay(Reason.CLOCK_DRIFT)
    return _of_lookup(answer, _CHANNEL_REFUSALS)


def objects(items: object) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a JSON list; of anything else, nothing."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _of_bot(answer: Answer | Failure, refusals: Mapping[int, Reason]) -> Outcome:
    shared = _of_any(answer)
    if shared is not None:
        return shared
    assert isinstance(answer, Answer)
    if answer.status == 402:
        return TryAnotherWay(_payment_reason(answer.detail))
    if 200 <= answer.status < 300:
        return Sent(())
    return TryAnotherWay(refusals.get(answer.status, Reason.UNEXPECTED_ANSWER))


def _of_lookup(answer: Answer | Failure, refusals: Mapping[int, Reason]) -> Outcome | None:
    if isinstance(answer, Failure):
        return RetryLater(CONNECTION_SECONDS, Reason.CONNECTION_FAILED)
    if answer.status == 404 or 200 <= answer.status < 300:
        return None
    shared = _of_any(answer)
    if isinstance(shared, RetryLater | Unclear):
        return RetryLater(shared.after, shared.reason)
    return shared or TryAnotherWay(refusals.get(answer.status, Reason.UNEXPECTED_ANSWER))


def _is_drift(answer: Answer) -> bool:
    return answer.status == 403 and not answer.is_html and abs(answer.drift_seconds) > DRIFT_LIMIT_SECONDS


def _of_any(answer: Answer | Failure) -> Outcome | None:
    if isinstance(answer, Failure):
        return _UNANSWERED[answer]
    if answer.status == 429:
        return RetryLater(answer.pause_seconds, Reason.RATE_LIMITED)
    if answer.status == 403 and answer.is_html:
        return RetryLater(answer.pause_seconds, Reason.KOMMO_BANNED)
    if answer.status >= 500 or answer.status == 408:
        return Unclear(UNCLEAR_SECONDS, Reason.KOMMO_UNAVAILABLE)
    if 300 <= answer.status < 400:
        return TryAnotherWay(Reason.ACCOUNT_MOVED)
    return None


def _payment_reason(detail: str) -> Reason:
    words = detail.lower()
    if "limit" in words:
        return Reason.QUOTA_USED_UP
    return Reason.PLAN_LACKS_ADDON if "tariff" in words else Reason.PAYMENT_REQUIRED


def _ids(value: object) -> tuple[str, ...]:
    return (str(value),) if value else ()
