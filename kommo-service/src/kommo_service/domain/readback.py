"""Finding in Kommo's own record what an attempt without a known outcome left there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_service.domain.message import NOTHING_SENT, Progress
from kommo_service.domain.rendering import normalized

# Kommo's times are whole seconds, and its clock is known only as well as a Date header tells.
SLACK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of the bot as Kommo shows it: its id, its text and its time in unix seconds."""

    id: str
    text: str
    created_at: float


def by_bot(messages: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Return the messages of a talk that a bot sent, oldest first; the list of Kommo has no order.

    Source: Kommo, talk messages; a reply sent through the API is shown with `author.type=bot`.
    """
    found = [
        Seen(str(message["id"]), str(message.get("text") or ""), _seconds(message.get("created_at")))
        for message in messages
        if message.get("id") and message.get("type") == "outgoing" and _author_type(message) == "bot"
    ]
    return sorted(found, key=lambda message: message.created_at)


def progress(
    pieces: Sequence[str],
    seen: Iterable[Seen],
    since: datetime,
    drift_seconds: float,
    claimed_ids: frozenset[str],
    talk_id: str,
) -> Progress:
    """Return how many pieces of a message a talk holds already.

    A piece leaves only after the one before it was taken, so a piece that is there proves the earlier ones.

    Args:
        pieces: the texts in the order in which they leave.
        seen: what the bot said in the talk, oldest first.
        since: when the first attempt without a known outcome began.
        drift_seconds: how far Kommo's clock is ahead of ours.
        claimed_ids: messages that prove other deliveries.
        talk_id: the talk that was read.
    """
    earliest = since.timestamp() + drift_seconds - SLACK_SECONDS
    free = [message for message in seen if message.created_at >= earliest and message.id not in claimed_ids]
    ids: list[str] = []
    last = 0
    for number, piece in enumerate(pieces, start=1):
        match = next((message for message in free if normalized(message.text) == normalized(piece)), None)
        if match is not None:
            free.remove(match)
            ids.append(match.id)
            last = number
    return Progress(tuple(ids), last, talk_id) if last else NOTHING_SENT


def _author_type(message: Mapping[str, Any]) -> str:
    author = message.get("author")
    return str(author.get("type") or "") if isinstance(author, Mapping) else ""


def _seconds(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
