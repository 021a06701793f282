"""Who asks what of whom, and what an answer to one sentence is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from llm_service.domain.knowledge import Knowledge
from llm_service.domain.values import Row
from llm_service.domain.voice import Voice

SURE = 0.85
CLOSE_RANK = 0.6


class Act(Enum):
    """What an answer to a sentence is."""

    SOCIAL = "social"
    ANSWER = "answer"
    NOT_FOUND = "not_found"
    NO_DETAIL = "no_detail"
    UNANSWERABLE = "unanswerable"
    UNCLEAR = "unclear"
    OFF_TOPIC = "off_topic"
    OPENING = "opening"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Piece:
    """The answer to one sentence; `rows` are what it was made from."""

    act: Act
    text: str = ""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks what of whom: the data, the voice, the language, and what was spoken of so far.

    `context` are the products spoken of last, `earlier` those told one by one before, the newest first, and `topic`
    the questions answered last; `is_aside` tells that the burst is sure to ask nothing of the
    business, `awaits_gift` that our last message asked what gift is looked for, and
    `awaits_budget` that gifts were spoken of, so that an amount alone is a limit.
    """

    knowledge: Knowledge
    voice: Voice
    language: str
    context: tuple[Row, ...] = ()
    intent: str = ""
    earlier: tuple[Row, ...] = ()
    topic: tuple[Row, ...] = ()
    is_aside: bool = False
    awaits_gift: bool = False
    awaits_budget: bool = False

    def say(self, key: str, /, **values: str) -> str:
        """Return a fixed text in the client's language."""
        return self.voice.say(key, self.language, **values)


def best_of(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that fit nearly as well as the best one."""
    best = max((row.score for row in rows), default=0.0)
    return [row for row in rows if row.score >= best * SURE]
