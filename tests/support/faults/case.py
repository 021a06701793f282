"""What a case of the table of delivery faults says, and how the client of one comes to write."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.faults.mesh import Kommo, Order

DELIVERED = "delivered, with evidence"
TOLD = "a person was told"

REPLY = "Sí, hay stock del termo Andes."
LONG_REPLY = " ".join(f"El termo número {number} cuesta {number * 100} pesos." for number in range(1, 41))
PROBLEM = "application/problem+json"
ALWAYS = -1

Play = Callable[[Kommo, str], Awaitable[None]]


def fault(action: str, operation: str = "send_message", **more: Any) -> Mapping[str, Any]:
    return {"action": action, "operation": operation, **more}


def refused(status: int, detail: str, operation: str = "send_message", **more: Any) -> Mapping[str, Any]:
    """Return the fault of a refusal with Kommo's own kind of body, for ever unless `times` says otherwise."""
    body = f'{{"title": "", "type": "", "status": {status}, "detail": "{detail}"}}'
    usual = {"times": ALWAYS, "content_type": PROBLEM}
    return fault("status", operation, status=status, body=body, **{**usual, **more})


async def client_writes(kommo: Kommo, chat_id: str, **line: Any) -> None:
    """Let the client of a native chat ask."""
    await kommo.post("/control/client-messages", {"text": "¿Hay stock?", "chat_id": chat_id, **line})


@dataclass(frozen=True)
class Case:
    """One way in which a delivery goes wrong.

    Args:
        does: what Kommo does, in a few words.
        outcome: what has to become of the reply.
        because: the evidence of a delivery, or the reason that the person is told of; a part of it.
        at_kommo: messages of the bot that Kommo has in the end.
        transports: the account's.
        parts: the bubbles of the reply.
        faults: what the account's Kommo is told to do.
        alerted: what the account's alert address has to be told of; empty where nothing is asked of it.
        relayed: messages that the relay of the own channel has in the end.
        order: further settings of the account and of its Kommo.
        play: how the client writes.
    """

    name: str
    does: str
    outcome: str
    because: str
    at_kommo: int
    transports: Sequence[str] = ("talk_message",)
    parts: Sequence[str] = (REPLY,)
    faults: Sequence[Mapping[str, Any]] = ()
    alerted: str = ""
    relayed: int = 0
    order: Order = field(default_factory=Order)
    play: Play = client_writes


def quiet(**kommo: Any) -> Order:
    """Return an account whose Kommo reports no message of the bot back, so that only a reading can prove one."""
    return Order(kommo={"echo": "off", **kommo})
