"""The values that replies are made of."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum


class Kind(Enum):
    """What a row of the business's data is."""

    PRODUCT = "product"
    FAQ = "faq"


class Speaker(Enum):
    """Who said a message."""

    CLIENT = "client"
    BOT = "bot"
    PERSON = "person"
    SYSTEM = "system"


class Urgency(Enum):
    """How soon a person is needed."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Product:
    """One row of the catalogue; `stock` is None where the business does not say."""

    sku: str
    name: str
    price: Decimal | None
    currency: str
    stock: int | None
    tags: tuple[str, ...] = ()
    category: str = ""
    description: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Faq:
    """One question that the business answers, with other ways to ask it."""

    id: str
    question: str
    alternatives: tuple[str, ...]
    answer: str
    language: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was found for a message.

    `score` says how well it fits (0 to 1), `covered` and `missing` are the words of the message that it holds and
    lacks, `rank` orders the rows of one search.
    """

    kind: Kind
    id: str
    title: str
    text: str
    score: float
    price: Decimal | None = None
    currency: str = ""
    stock: int | None = None
    url: str = ""
    language: str = ""
    covered: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    rank: float = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a chat; `content_type` is `text`, `voice`, `picture` …."""

    speaker: Speaker
    text: str
    content_type: str = "text"


@dataclass(frozen=True, slots=True)
class Question:
    """What a reply is asked for.

    `history` ends where `burst` begins; `language`, `intent` and its `confidence` (0 to 1) come from the analysis and
    are empty when unknown.
    """

    burst: tuple[Said, ...]
    history: tuple[Said, ...] = ()
    language: str = ""
    intent: str = ""
    contact_name: str = ""
    channel: str = ""
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard says of a text; `detail` never holds the client's words."""

    guard: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply, all calls together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Handover:
    """Why a person has to answer; `is_failure` when our own failure is the reason."""

    reason_code: str
    reason: str
    priority: Urgency
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """How a reply came about."""

    model: str
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "stop"
    rows: tuple[Row, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    prompt_json: str = ""
    model_seconds: float = 0.0
    model_calls: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A text that may be sent, and the bubbles that it is sent in."""

    text: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reply or a person, and how that came about."""

    result: Reply | Handover
    generation: Generation
