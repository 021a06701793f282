"""When webhooks leave: at once, late by order, or held back until they are released in an order of one's choice."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Literal

import msgspec

Order = Literal["arrival", "reverse", "shuffle"]


class DelayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lets webhooks leave late; `event` and `chat_id` narrow it, `times` -1 = until withdrawn."""

    delay_seconds: float
    event: str | None = None
    chat_id: str | None = None
    times: int = 1


class HoldOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds webhooks back; empty `events` means all, no `chat_id` every chat."""

    events: list[str] = []
    chat_id: str | None = None

    def covers(self, event: str, chat_id: str) -> bool:
        """Tell whether a webhook is meant."""
        return (not self.events or event in self.events) and self.chat_id in (None, chat_id)


class ReleaseOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lets held webhooks go, one after the other; `seed` makes a shuffle repeatable."""

    order: Order = "arrival"
    seed: int = 0
    limit: int | None = None
    keep_holding: bool = False


@dataclass(slots=True, eq=False)
class Passage:
    """One webhook that asks to leave; `done` is set once it was answered or given up."""

    event: str
    chat_id: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Delay:
    order: DelayOrder
    left: int


class WebhookPlan:
    """Decides for each webhook when it leaves."""

    def __init__(self) -> None:
        self._delays: list[_Delay] = []
        self._holds: list[HoldOrder] = []
        self.held: list[Passage] = []

    def clear(self) -> None:
        """Withdraw all orders and let everything go."""
        self._delays.clear()
        self._holds.clear()
        for passage in self.held:
            passage.free.set()
        self.held.clear()

    @property
    def orders(self) -> dict[str, list[dict[str, object]]]:
        """The delays and holds in force."""
        delays = [msgspec.to_builtins(delay.order) | {"left": delay.left} for delay in self._delays if delay.left]
        return {"delays": delays, "holds": [msgspec.to_builtins(hold) for hold in self._holds]}

    def delay(self, order: DelayOrder) -> None:
        """Order a delay."""
        self._delays.append(_Delay(order, order.times))

    def hold(self, order: HoldOrder) -> None:
        """Hold back what comes from now on."""
        self._holds.append(order)

    def release(self, order: ReleaseOrder) -> list[Passage]:
        """Take held webhooks out, in the order wanted; the caller frees them one by one."""
        if not order.keep_holding:
            self._holds.clear()
        chosen = list(self.held)
        if order.order == "reverse":
            chosen.reverse()
        elif order.order == "shuffle":
            random.Random(order.seed).shuffle(chosen)  # noqa: S311 - an order of events, no secret
        chosen = chosen[: order.limit]
        self.held = [passage for passage in self.held if passage not in chosen]
        return chosen

    def enter(self, event: str, chat_id: str) -> tuple[Passage, float]:
        """Return a webhook's passage and the seconds it has to wait beforehand; a held one stays until freed."""
        passage = Passage(event, chat_id)
        if any(hold.covers(event, chat_id) for hold in self._holds):
            self.held.append(passage)
        else:
            passage.free.set()
        return passage, self._delay_of(event, chat_id)

    def _delay_of(self, event: str, chat_id: str) -> float:
        for delay in self._delays:
            if delay.left and delay.order.event in (None, event) and delay.order.chat_id in (None, chat_id):
                delay.left -= 1
                return delay.order.delay_seconds
        return 0.0


async def let_go(passages: list[Passage]) -> None:
    """Free webhooks one after the other, each once the one before it was answered."""
    for passage in passages:
        passage.free.set()
        await passage.done.wait()
