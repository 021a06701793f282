"""A message on its way to a client, and what an earlier attempt left of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from kommo_service.domain.channel import Channel
from kommo_service.domain.outcomes import Outcome

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kommomesh:delivery")


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a Salesbot that waits is told how to go on, and until when it waits."""

    return_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said, to whom, and until when it may be started.

    Args:
        unclear_since: when the first attempt without a known outcome began; None when there was none.
        claimed_ids: Kommo's ids that prove other deliveries.
        continuation: the Salesbot that waits for this message alone; None when none does.
    """

    delivery_id: str
    account_id: str
    chat_id: str
    text: str
    talk_id: str = ""
    contact_id: str = ""
    origin: str = ""
    channel: Channel = Channel.OTHER
    contact_name: str = ""
    start_before: datetime | None = None
    unclear_since: datetime | None = None
    claimed_ids: frozenset[str] = frozenset()
    lead_id: str = ""
    continuation: Continuation | None = None

    def piece_id(self, index: int) -> UUID:
        """Return the id of one piece, the same on every attempt."""
        return uuid5(_NAMESPACE, f"{self.account_id}/{self.delivery_id}/{index}")

    def may_start(self, now: datetime) -> bool:
        """Tell whether something may still be started."""
        return self.start_before is None or now < self.start_before


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an earlier attempt got by one transport.

    Args:
        ids: Kommo's ids of pieces found.
        pieces: pieces that Kommo has, counted from the first.
        talk_id: the talk that has them.
    """

    ids: tuple[str, ...] = ()
    pieces: int = 0
    talk_id: str = ""


NOTHING_SENT = Progress()
Finding = Progress | Outcome
