"""What an account wants done in Kommo when a person is called."""

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

PriorityName = Literal["low", "medium", "high", "critical"]
DUE_MINUTES: Mapping[PriorityName, int] = MappingProxyType({"low": 240, "medium": 60, "high": 15, "critical": 5})
LOOPBACK = ("127.0.0.1", "::1", "localhost")
TRACE_FIELDS = frozenset({"account_id", "conversation_id", "turn_id"})


def is_alert_url(url: str) -> bool:
    """Tell whether an address may stand in an account as its alert address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and not (parts.fragment or "@" in parts.netloc)
    return is_plain and bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))


class HandoffSettings(BaseModel):
    """The table `[handoff]` of an account file: which actions a hand-over has, and what they say.

    Args:
        note: write a note on the lead or the contact.
        task: make a task, with a due time by priority.
        responsible_user_id: who gets the task and the lead; None leaves both with who is responsible.
        pipeline_id: pipeline of `status_id`.
        status_id: stage that the lead moves to.
        tags: tags that the lead gets.
        task_due_minutes: minutes by priority; those that are not named keep their default.
        person_reminder_after_seconds: business hours until it counts that nobody has come; 0 means never.
        courtesy: tell the client then that the matter is not forgotten.
        alert_url: address that is called then, and while Kommo cannot take the package; None calls nothing.
        trace_url: address of a trace, with `{turn_id}`, `{conversation_id}` and `{account_id}` as wished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: bool = True
    task: bool = True
    responsible_user_id: PositiveInt | None = None
    pipeline_id: PositiveInt | None = None
    status_id: PositiveInt | None = None
    tags: tuple[str, ...] = Field(default=(), max_length=20)
    task_due_minutes: Mapping[PriorityName, PositiveInt] = Field(default_factory=dict)
    person_reminder_after_seconds: float = Field(default=1_800.0, ge=0, le=604_800)
    courtesy: bool = True
    alert_url: str | None = Field(default=None, max_length=500)
    trace_url: str | None = Field(default=None, max_length=500)

    @field_validator("tags")
    @classmethod
    def _tags_have_names(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not all(tag.strip() for tag in tags):
            raise ValueError("a tag needs a name")
        return tags

    @field_validator("trace_url")
    @classmethod
    def _known_fields(cls, url: str | None) -> str | None:
        for _, name, spec, conversion in Formatter().parse(url or ""):
            if name is not None and (name not in TRACE_FIELDS or spec or conversion):
                raise ValueError(f"knows only {', '.join(sorted(TRACE_FIELDS))} in braces")
        return url

    @field_validator("alert_url")
    @classmethod
    def _callable(cls, url: str | None) -> str | None:
        if url is not None and not is_alert_url(url):
            raise ValueError("must be https:// with a host (http:// on this machine alone), without user or fragment")
        return url

    @model_validator(mode="after")
    def _stage_with_pipeline(self) -> Self:
        # Without its pipeline Kommo may refuse a stage or take it for another pipeline's.
        if (self.pipeline_id is None) != (self.status_id is None):
            raise ValueError("pipeline_id and status_id are given together")
        return self

    def due_minutes(self, priority: PriorityName) -> int:
        """Return within how many minutes a person should see to a hand-over of this priority."""
        return self.task_due_minutes.get(priority, DUE_MINUTES[priority])
