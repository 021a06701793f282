"""The steps of a scenario: what is done, and what is expected."""

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from kommo_simulator.control_account import Changes
from kommo_simulator.faults import FaultOrder
from kommo_simulator.media import AttachmentLine

MAIN_CHAT = "main"

Words: TypeAlias = str | list[str]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything a scenario can say."""


class ClientStep(Step, frozen=True, forbid_unknown_fields=True):
    """The client writes; `chat` names one of several clients."""

    text: str = ""
    chat: str = MAIN_CHAT
    message_type: str | None = None
    attachment: AttachmentLine | None = None
    location: dict[str, float] | None = None
    contact: dict[str, str] | None = None
    copies: int = 1
    delay_seconds: Seconds = 0.0
    late_file_seconds: Seconds | None = None


class ColleagueStep(Step, frozen=True, forbid_unknown_fields=True):
    """A person of the company writes."""

    text: str
    chat: str = MAIN_CHAT
    device: Literal["inbox", "phone"] = "inbox"
    wrapper: Literal["outgoing_message", "message"] = "outgoing_message"
    delay_seconds: Seconds = 0.0


class ChatStep(Step, frozen=True, forbid_unknown_fields=True):
    """Something is done to a chat."""

    chat: str = MAIN_CHAT


class FaultStep(Step, FaultOrder, frozen=True, forbid_unknown_fields=True):
    """Requests fail from now on; withdrawn by `clear_faults` or the end of the scenario."""


class WaitStep(Step, frozen=True, forbid_unknown_fields=True):
    """Nothing is done for a while."""

    seconds: Seconds


class SettingsStep(Step, Changes, frozen=True, forbid_unknown_fields=True):
    """Settings of the simulator change, until the end of the scenario."""


class NothingStep(Step, frozen=True, forbid_unknown_fields=True):
    """A step without details."""

    now: bool = True


class HoldStep(Step, frozen=True, forbid_unknown_fields=True):
    """Webhooks of a chat are held back."""

    events: list[str] = []


class ReleaseStep(Step, frozen=True, forbid_unknown_fields=True):
    """Held webhooks go."""

    order: Literal["arrival", "reverse", "shuffle"] = "arrival"
    seed: int = 0


class SubscriptionsStep(Step, frozen=True, forbid_unknown_fields=True):
    """The subscriptions to webhooks are switched off or on."""

    disabled: bool


class ReplyExpected(Step, frozen=True, forbid_unknown_fields=True):
    """A reply since the last word of client or colleague; several bubbles count as one text."""

    contains: Words = []
    matches: str | None = None
    lacks: Words = []
    any_of: list[str] = []
    delivery_status: Literal["sent", "delivered", "read", "error"] | None = None
    within_seconds: Seconds | None = None
    chat: str = MAIN_CHAT

    def __post_init__(self) -> None:
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"matches is no regular expression: {error}") from error


class RepliesExpected(Step, frozen=True, forbid_unknown_fields=True):
    """Exactly so many messages of the bot since the last word of client or colleague."""

    exactly: Count
    within_seconds: Seconds | None = None
    settle_seconds: Seconds = 3.0
    chat: str = MAIN_CHAT


class SilenceExpected(Step, frozen=True, forbid_unknown_fields=True):
    """No message of the bot for a while, from now."""

    seconds: Seconds
    chat: str = MAIN_CHAT


class RecordExpected(Step, frozen=True, forbid_unknown_fields=True):
    """A note or a task on the client's lead or contact."""

    contains: Words = []
    exactly: Count | None = None
    within_seconds: Seconds | None = None
    chat: str = MAIN_CHAT


class TagExpected(Step, frozen=True, forbid_unknown_fields=True):
    """A tag on the client's lead or contact."""

    name: str
    within_seconds: Seconds | None = None
    chat: str = MAIN_CHAT


class LeadExpected(Step, frozen=True, forbid_unknown_fields=True):
    """Values of the client's lead."""

    values: dict[str, Any]
    within_seconds: Seconds | None = None
    chat: str = MAIN_CHAT


class RequestsExpected(Step, frozen=True, forbid_unknown_fields=True):
    """So many API requests of an operation since the scenario began."""

    operation: str
    exactly: Count | None = None
    at_least: Count | None = None
    status: int | None = None
    within_seconds: Seconds | None = None


VERBS: dict[str, type[Step]] = {
    "client": ClientStep,
    "colleague": ColleagueStep,
    "close_talk": ChatStep,
    "reopen_talk": ChatStep,
    "fault": FaultStep,
    "clear_faults": NothingStep,
    "settings": SettingsStep,
    "subscriptions": SubscriptionsStep,
    "hold_webhooks": HoldStep,
    "release_webhooks": ReleaseStep,
    "wait": WaitStep,
    "expect_reply": ReplyExpected,
    "expect_replies": RepliesExpected,
    "expect_no_reply": SilenceExpected,
    "expect_note": RecordExpected,
    "expect_task": RecordExpected,
    "expect_tag": TagExpected,
    "expect_lead": LeadExpected,
    "expect_requests": RequestsExpected,
}
