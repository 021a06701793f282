"""Reading the history of a chat of the own channel: who the client is, and which of our messages it holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kommo_service.domain.message import NOTHING_SENT, Progress


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a chat as the channel knows it.

    Args:
        id: the channel's own id; Kommo's where the history names no other.
        name: the client's name; may be empty.
        ref_id: Kommo's id, only where the channel's own is unknown.
    """

    id: str
    name: str
    ref_id: str = ""


def client_of(messages: Iterable[Mapping[str, Any]]) -> Client | None:
    """Return the client of a chat; None when the history does not tell.

    The client is the receiver of what the company wrote, and the sender of everything else.

    Source: Kommo Chats API, history of a chat.
    """
    people = [message.get("receiver") or message.get("sender") for message in messages]
    clients = [person for person in people if isinstance(person, dict) and person.get("id")]
    known = next((person for person in clients if person.get("client_id")), None)
    if known is not None:
        return Client(str(known["client_id"]), str(known.get("name") or ""))
    if not clients:
        return None
    api_id = str(clients[0]["id"])
    return Client(api_id, str(clients[0].get("name") or ""), api_id)


def taken(messages: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return Kommo's message id by the id that the channel gave."""
    contents = [message.get("message") for message in messages]
    return {
        str(content["client_id"]): str(content["id"])
        for content in contents
        if isinstance(content, dict) and content.get("client_id") and content.get("id")
    }


def progress(piece_ids: Sequence[str], known: Mapping[str, str]) -> Progress:
    """Return how many pieces the history holds; a piece that is there proves the ones before it."""
    held = [number for number, piece_id in enumerate(piece_ids, start=1) if piece_id in known]
    if not held:
        return NOTHING_SENT
    return Progress(tuple(known[piece_id] for piece_id in piece_ids if piece_id in known), held[-1])


def reaches_back_to(messages: Sequence[Mapping[str, Any]], earliest: float) -> bool:
    """Tell whether a page, newest message first, goes further back than a time in unix seconds."""
    times = [float(message.get("timestamp") or 0) for message in messages]
    return bool(times) and times[0] >= times[-1] and times[-1] < earliest
