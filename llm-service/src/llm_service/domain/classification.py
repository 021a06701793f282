"""What a model is asked about an unsure message, and what its answer has to look like."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_service.domain.prompt import BusinessFacts, ChatMessages
from llm_service.domain.values import Said

INTENTS = (
    "escalation",
    "complaint",
    "appointment",
    "price_inquiry",
    "availability_inquiry",
    "product_inquiry",
    "faq",
    "greeting",
    "other",
)
MOST_HISTORY = 8
LONGEST_HISTORY_MESSAGE = 300
LONGEST_ABOUT = 400
RESPONSE_FORMAT: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "classification",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "intent": {"type": "string", "enum": list(INTENTS)},
                "confidence": {"type": "number"},
                "needs_person": {"type": "boolean"},
            },
            "required": ["intent", "confidence", "needs_person"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An intent that another analysis leans towards, with its confidence (0 to 1)."""

    intent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class UnsureMessage:
    """A burst whose intent is not clear; `history` ends where it begins, `locale` is a BCP 47 tag."""

    text: str
    history: tuple[Said, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    locale: str = "es-AR"


@dataclass(frozen=True, slots=True)
class Label:
    """What a model says; `confidence` is 0 to 1, `needs_person` None where it did not say."""

    intent: str
    confidence: float
    needs_person: bool | None = None


def classification_messages(template: str, facts: BusinessFacts, message: UnsureMessage) -> ChatMessages:
    """Return the request: instructions, and the message with all that belongs to it as one JSON object.

    Args:
        template: the instructions, with places for `name` and `about`.
        facts: the business that is written to.
        message: what to sort.
    """
    asked = {
        "locale": message.locale,
        "conversation": _told(message.history[-MOST_HISTORY:]),
        "guesses": [{"intent": one.intent, "confidence": round(one.confidence, 2)} for one in message.candidates],
        "message": message.text,
    }
    instructions = template.format_map({"name": facts.name, "about": facts.about[:LONGEST_ABOUT]})
    # JSON keeps what the client wrote apart from what we say.
    content = json.dumps(asked, ensure_ascii=False)
    return ({"role": "system", "content": instructions.strip()}, {"role": "user", "content": content})


def _told(history: Sequence[Said]) -> list[Mapping[str, str]]:
    return [
        {"who": said.speaker.value, "said": said.text.strip()[:LONGEST_HISTORY_MESSAGE] or f"({said.content_type})"}
        for said in history
    ]


def parse_label(text: str) -> Label | None:
    """Return what a model wrote as a label; None where it is no valid answer.

    Servers that know no schema put words or code fences around the object, so the outermost braces count.
    """
    try:
        answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return None
    intent, confidence, needs_person = (answer.get(key) for key in ("intent", "confidence", "needs_person"))
    is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if intent not in INTENTS or not is_number or not 0 <= confidence <= 1:
        return None
    if needs_person is not None and not isinstance(needs_person, bool):
        return None
    return Label(intent, float(confidence), needs_person)
