"""The Salesbots of an account that wait, or that are about to speak."""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Wait:
    """A bot that waits to be continued: `prints` is the key of the answer's data that it shows afterwards.

    `ends_at` is in unix seconds; None waits for ever.
    """

    bot_id: int
    chat_id: str
    prints: str | None = None
    ends_at: float | None = None


@dataclass(slots=True)
class BotsAtWork:
    """The bots of an account that wait or are about to speak."""

    waits: dict[int, Wait] = field(default_factory=dict)
    runs: dict[str, list[asyncio.Task[None]]] = field(default_factory=dict)
