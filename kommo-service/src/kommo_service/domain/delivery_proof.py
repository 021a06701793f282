"""How far messages of the company have come, as Kommo's own record shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from kommo_service.domain.channel import Channel
from kommo_service.domain.rendering import normalized, render

# Kommo may have taken a message that long before its answer was known here; its times are whole seconds.
SLACK_SECONDS = 60.0
# Shorter words inside of a message may be another message's.
LEAST_PIECE = 20
MOST_ERROR = 200
TALK = "talk"
HISTORY = "history"


class Status(IntEnum):
    """How far a message has come, the worst first: of several pieces the worst counts."""

    ERROR = 0
    ABSENT = 1
    SENT = 2
    DELIVERED = 3
    READ = 4


_STATUS = {"sent": Status.SENT, "delivered": Status.DELIVERED, "read": Status.READ, "error": Status.ERROR}


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as a talk shows it.

    Args:
        author: `external`, `internal` or `bot`; empty where Kommo does not say.
        created_at: unix seconds, by Kommo's clock.
        error_code: Kommo's code of a failure; 0 when there is none.
        error: what Kommo says of it.
    """

    id: str
    author: str
    author_name: str
    message_type: str
    text: str
    created_at: float
    status: Status
    error_code: int = 0
    error: str = ""

    @property
    def is_outgoing(self) -> bool:
        """Whether the company wrote it."""
        return self.author in ("internal", "bot")


@dataclass(frozen=True, slots=True)
class Sought:
    """A message that Kommo has accepted.

    Args:
        transport: the transport that took it; empty when it is not known.
        kommo_ids: Kommo's ids of its pieces; empty where Kommo gave none.
        sent_at: when it was accepted, by our clock.
    """

    delivery_id: str
    transport: str
    kommo_ids: tuple[str, ...]
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """How far a message has come; `source` is empty where the record does not have it."""

    delivery_id: str
    status: Status
    source: str = ""
    error_code: int = 0
    kommo_ids: tuple[str, ...] = ()


def shown(items: Iterable[Mapping[str, Any]]) -> list[Shown]:
    """Return the messages of a talk in the order in which Kommo lists them; what has no id is left out.

    Source: Kommo, talk messages: `delivery_status` is `sent`, `delivered`, `read` or `error`; fields may be missing.
    """
    return [_shown(item) for item in items if item.get("id")]


def proofs(
    sought: Sequence[Sought],
    record: Sequence[Shown],
    drift_seconds: float,
    claimed_ids: frozenset[str] = frozenset(),
) -> list[Found]:
    """Return how far each message has come by what a talk shows.

    Args:
        sought: the messages.
        record: what the talk shows.
        drift_seconds: how far Kommo's clock is ahead of ours.
        claimed_ids: messages that are other deliveries, whose words may be the same.
    """
    known = claimed_ids.union(*(one.kommo_ids for one in sought))
    by_id = {one.id: one for one in record if one.is_outgoing}
    free = sorted(
        (one for one in record if one.author == "bot" and one.id not in known), key=lambda one: one.created_at
    )
    found = []
    for one in sought:
        pieces = [by_id.get(kommo_id) for kommo_id in one.kommo_ids]
        if not any(pieces):
            pieces = [*_by_text(one, free, drift_seconds)]
        for piece in pieces:
            if piece in free:
                free.remove(piece)
        found.append(_judged(one, pieces))
    return found


def by_own_ids(sought: Sequence[Sought], held: Mapping[str, str], own_ids: Mapping[str, str]) -> list[Found]:
    """Return how far each message has come by the history of the own channel, which tells that it is there and no more.

    Args:
        sought: the messages.
        held: Kommo's ids by the ids that the channel gave.
        own_ids: the id that the channel gave, by delivery.
    """
    kommo_ids = set(held.values())
    found = []
    for one in sought:
        ids = tuple(kommo_id for kommo_id in one.kommo_ids if kommo_id in kommo_ids)
        if not ids and own_ids[one.delivery_id] in held:
            ids = (held[own_ids[one.delivery_id]],)
        found.append(Found(one.delivery_id, Status.SENT, HISTORY, 0, ids) if ids else absent(one))
    return found


def absent(one: Sought) -> Found:
    """Return that the record does not have a message."""
    return Found(one.delivery_id, Status.ABSENT)


def _judged(one: Sought, pieces: Sequence[Shown | None]) -> Found:
    if not any(pieces):
        return absent(one)
    there = [piece for piece in pieces if piece is not None]
    worst = min(there, key=lambda piece: piece.status)
    is_whole = len(there) == len(pieces)
    status = worst.status if is_whole or worst.status is Status.ERROR else Status.ABSENT
    ids = tuple(piece.id for piece in there)
    return Found(one.delivery_id, status, TALK, worst.error_code, ids)


def _by_text(one: Sought, free: Sequence[Shown], drift_seconds: float) -> Sequence[Shown | None]:
    """Return what of a message is there by its words, with a None at the end where something is missing."""
    earliest = one.sent_at.timestamp() + drift_seconds - SLACK_SECONDS
    later = [piece for piece in free if piece.created_at >= earliest]
    whole = _plain(one.text)
    same = next((piece for piece in later if _plain(piece.text) == whole), None)
    if same is not None:
        return [same]
    pieces: list[Shown] = []
    rest = whole
    for piece in later:
        words = _plain(piece.text)
        # Taken out, so that a piece that is there twice does not stand for one that is missing.
        if len(words) >= LEAST_PIECE and words in rest:
            pieces.append(piece)
            rest = rest.replace(words, " ", 1)
    return [*pieces, None] if pieces and _letters(rest) > LEAST_PIECE else pieces


def _plain(text: str) -> str:
    # The marks that a channel keeps do not count.
    return normalized(render(text, Channel.OTHER)) if text.strip() else ""


def _letters(text: str) -> int:
    return len(text.replace(" ", ""))


def _shown(item: Mapping[str, Any]) -> Shown:
    author = item.get("author")
    author = author if isinstance(author, Mapping) else {}
    kind = str(author.get("type") or "") or ("external" if item.get("type") == "incoming" else "")
    return Shown(
        id=str(item["id"]),
        author=kind,
        author_name=str(author.get("name") or ""),
        message_type=str(item.get("message_type") or ""),
        text=str(item.get("text") or ""),
        created_at=_number(item.get("created_at")),
        status=_STATUS.get(
            str(item.get("delivery_status") or ""), Status.ABSENT if kind == "external" else Status.SENT
        ),
        error_code=int(_number(item.get("error_code"))),
        error=str(item.get("error") or "")[:MOST_ERROR],
    )


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
