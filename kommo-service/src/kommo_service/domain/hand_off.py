"""One action of a hand-over: what it writes in Kommo, where, and how it is known again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from kommo_service.domain.outcomes import Reason

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kommomesh:hand-off")
# Kommo's type of a task that is not tied to a meeting.
FOLLOW_UP = 1

EntityKind = Literal["leads", "contacts"]


@dataclass(frozen=True, slots=True)
class Entity:
    """A lead or a contact."""

    kind: EntityKind
    id: int


@dataclass(frozen=True, slots=True)
class Note:
    """A note for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task for a person; without a user it is the one's who is responsible for its lead or contact."""

    text: str
    due_at: datetime
    responsible_user_id: int | None = None


@dataclass(frozen=True, slots=True)
class LeadUpdate:
    """Changes of the lead; None and nothing leave it as it is."""

    responsible_user_id: int | None = None
    pipeline_id: int | None = None
    status_id: int | None = None
    tags: tuple[str, ...] = ()


Action = Note | Task | LeadUpdate


@dataclass(frozen=True, slots=True)
class HandOff:
    """An action, where to carry it out, and until when it may be started.

    Args:
        unclear_since: when the first attempt without a known outcome began; None when there was none.
    """

    delivery_id: str
    account_id: str
    action: Action
    talk_id: str = ""
    contact_id: str = ""
    lead_id: str = ""
    start_before: datetime | None = None
    unclear_since: datetime | None = None

    @property
    def name(self) -> str:
        """What kind of action it is, for logs and metrics."""
        match self.action:
            case Note():
                return "note"
            case Task():
                return "task"
            case LeadUpdate():
                return "lead_update"

    @property
    def marker(self) -> str:
        """What the action is known by in Kommo, the same on every attempt."""
        return f"#m-{uuid5(_NAMESPACE, f'{self.account_id}/{self.delivery_id}').hex[:8]}"

    def may_start(self, now: datetime) -> bool:
        """Tell whether something may still be started."""
        return self.start_before is None or now < self.start_before


@dataclass(frozen=True, slots=True)
class Skipped:
    """There is nothing to carry it out on, now or later."""

    reason: Reason


def entities(lead_id: object, contact_id: object) -> tuple[Entity, ...]:
    """Return where an action may be carried out, the lead first; what is no id of Kommo's is left out."""
    found = (("leads", _id(lead_id)), ("contacts", _id(contact_id)))
    return tuple(Entity(kind, one) for kind, one in found if one)  # type: ignore[arg-type]


def entities_of_talk(talk: Mapping[str, Any]) -> tuple[Entity, ...]:
    """Return the lead and the contact that a talk names.

    Source: Kommo, talks; `entity_type` is `lead` or `customer`.
    """
    lead_id = talk.get("entity_id") if talk.get("entity_type") in ("lead", "leads") else None
    return entities(lead_id, talk.get("contact_id"))


def note_body(note: Note, marker: str) -> list[dict[str, Any]]:
    """Return what adds the note.

    Source: Kommo, adding notes; a `common` note has `params.text`.
    """
    return [{"note_type": "common", "params": {"text": _marked(note.text, marker)}}]


def task_body(task: Task, marker: str, entity: Entity, responsible_user_id: int | None) -> list[dict[str, Any]]:
    """Return what adds the task.

    Source: Kommo, adding tasks; `text` and `complete_till` are required.
    """
    body = {
        "text": _marked(task.text, marker),
        "complete_till": int(task.due_at.timestamp()),
        "entity_id": entity.id,
        "entity_type": entity.kind,
        "task_type_id": FOLLOW_UP,
    }
    return [body | ({"responsible_user_id": responsible_user_id} if responsible_user_id else {})]


def lead_body(update: LeadUpdate) -> dict[str, Any]:
    """Return what changes the lead.

    Source: Kommo, changing leads; `_embedded.tags` would replace the tags of others, `tags_to_add` does not.
    """
    values = {
        "responsible_user_id": update.responsible_user_id,
        "pipeline_id": update.pipeline_id,
        "status_id": update.status_id,
        "tags_to_add": [{"name": tag} for tag in update.tags],
    }
    return {name: value for name, value in values.items() if value}


def marked_id(items: Iterable[Mapping[str, Any]], marker: str) -> str:
    """Return the id of the note or the task that carries a marker; empty when none does."""
    return next((str(item.get("id") or "") for item in items if marker in _text(item).split()), "")


def _marked(text: str, marker: str) -> str:
    return f"{text} {marker}"


def _text(item: Mapping[str, Any]) -> str:
    params = item.get("params")
    return str(params.get("text") or "") if isinstance(params, Mapping) else str(item.get("text") or "")


def _id(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdecimal() else 0
