"""What can become of one attempt to say something to Kommo."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a message did not go out; where several apply, the earlier one tells more."""

    QUOTA_USED_UP = "quota_used_up"
    PLAN_LACKS_ADDON = "plan_lacks_addon"
    PAYMENT_REQUIRED = "payment_required"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a code, not a token
    SCOPE_MISSING = "scope_missing"
    SIGNATURE_REFUSED = "signature_refused"
    CLOCK_DRIFT = "clock_drift"
    ACCOUNT_MOVED = "account_moved"
    INVALID_TEXT = "invalid_text"
    TALK_CLOSED = "talk_closed"
    TALK_NOT_FOUND = "talk_not_found"
    CHANNEL_NOT_FOUND = "channel_not_found"
    CLIENT_REFUSED = "client_refused"
    NO_TALK = "no_talk"
    OAUTH_UNSUPPORTED = "oauth_unsupported"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, not a token
    CHANNEL_NOT_CONFIGURED = "channel_not_configured"
    NOT_OWN_CHANNEL = "not_own_channel"
    SALESBOT_NOT_CONFIGURED = "salesbot_not_configured"
    BOT_NOT_FOUND = "bot_not_found"
    BOT_REFUSED = "bot_refused"
    FIELD_REFUSED = "field_refused"
    FIELD_TOO_SHORT = "field_too_short"
    RETURN_URL_REFUSED = "return_url_refused"
    BOT_SILENT = "bot_silent"
    FIELD_OVERWRITTEN = "field_overwritten"
    TEXT_TOO_LONG = "text_too_long"
    OTHER_CHAT = "other_chat"
    CONTINUATION_GONE = "continuation_gone"
    CONTINUATION_EXPIRED = "continuation_expired"
    NO_CONTINUATION = "no_continuation"
    LEAD_BUSY = "lead_busy"
    FIELD_BUSY = "field_busy"
    UNEXPECTED_ANSWER = "unexpected_answer"
    READ_BACK_REFUSED = "read_back_refused"
    NO_TRANSPORT = "no_transport"
    RATE_LIMITED = "rate_limited"
    KOMMO_BANNED = "kommo_banned"
    KOMMO_UNAVAILABLE = "kommo_unavailable"
    TIMEOUT = "timeout"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    LEASE_ENDED = "lease_ended"
    NOT_SETTLED = "not_settled"
    PARTLY_SENT = "partly_sent"
    RELAY_SIGNATURE_REFUSED = "relay_signature_refused"
    RELAY_REFUSED = "relay_refused"
    RELAY_MOVED = "relay_moved"
    RELAY_NOT_CONFIGURED = "relay_not_configured"
    RELAY_UNAVAILABLE = "relay_unavailable"
    RELAY_UNREACHABLE = "relay_unreachable"
    RELAY_TIMEOUT = "relay_timeout"
    IN_PROGRESS = "in_progress"
    NO_ENTITY = "no_entity"
    NO_LEAD = "no_lead"
    ENTITY_NOT_FOUND = "entity_not_found"
    INVALID_ACTION = "invalid_action"


@dataclass(frozen=True, slots=True)
class Sent:
    """Kommo has the message.

    Args:
        ids: Kommo's ids, one for each piece; shorter where Kommo named none.
        is_read_back: it was found there and not sent again.
        talk_id: the talk that has it, when another than the one asked for.
    """

    ids: tuple[str, ...]
    is_read_back: bool = False
    talk_id: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Kommo has not got it; the same may succeed after `after` seconds."""

    after: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class Unclear:
    """Whether Kommo has it is not known; after `after` seconds a repeat reads back first."""

    after: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class TryAnotherWay:
    """Kommo has not got it and this transport will not bring it there."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class TellPerson:
    """Nothing that the mesh may do brings it there."""

    reason: Reason


Outcome = Sent | RetryLater | Unclear | TryAnotherWay | TellPerson
FinalOutcome = Sent | RetryLater | Unclear | TellPerson


def most_telling(reasons: Iterable[Reason]) -> Reason:
    """Return the reason that helps a person most; `NO_TRANSPORT` when there is none."""
    order = list(Reason)
    return min(reasons, key=order.index, default=Reason.NO_TRANSPORT)


def after_part(outcome: Outcome) -> Outcome:
    """Return what an outcome of one piece means once an earlier piece has gone out.

    The earlier piece is at the client: only a read-back, or a person, may go on from there.
    """
    match outcome:
        case RetryLater(after, _):
            return Unclear(after, Reason.PARTLY_SENT)
        case TryAnotherWay(reason):
            return TellPerson(reason)
        case _:
            return outcome
