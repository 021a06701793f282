"""Choosing the talk of a chat among those that Kommo lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Talk:
    """One stretch of a chat, as Kommo lists it."""

    id: str
    chat_id: str
    is_open: bool
    updated_at: float
    lead_id: str = ""


def listed(items: Iterable[Mapping[str, Any]]) -> list[Talk]:
    """Return the talks of a list, the newest first; what has no id is left out."""
    talks = [
        Talk(
            str(item["talk_id"]),
            str(item.get("chat_id") or ""),
            bool(item.get("is_in_work")),
            float(item.get("updated_at") or 0),
            str(item.get("entity_id") or "") if item.get("entity_type") in ("lead", "leads") else "",
        )
        for item in items
        if item.get("talk_id")
    ]
    return sorted(talks, key=lambda talk: (talk.updated_at, talk.id), reverse=True)


def of_chat(talks: Sequence[Talk], chat_id: str, *, is_simulated: bool) -> Sequence[Talk]:
    """Return the talks of one chat.

    Args:
        talks: the talks of the contact, the newest first.
        chat_id: the chat.
        is_simulated: the account is the simulator's, which gives a chat it never saw another id.
    """
    same = [talk for talk in talks if talk.chat_id == chat_id]
    return same or (list(talks) if is_simulated else [])


def newest_open(talks: Sequence[Talk], other_than: str) -> Talk | None:
    """Return the newest open talk that has another id; None when there is none."""
    return next((talk for talk in talks if talk.is_open and talk.id != other_than), None)
