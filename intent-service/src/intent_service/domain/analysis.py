"""What is said about a message: intent, language, sentiment and whether a person is needed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAXIMUM_CHARACTERS = 4096


class Intent(StrEnum):
    """What a message wants, in the order of precedence when it wants several things."""

    ESCALATION = "escalation"
    COMPLAINT = "complaint"
    APPOINTMENT = "appointment"
    PRICE_INQUIRY = "price_inquiry"
    AVAILABILITY_INQUIRY = "availability_inquiry"
    PRODUCT_INQUIRY = "product_inquiry"
    FAQ = "faq"
    GREETING = "greeting"
    OTHER = "other"


class Sentiment(StrEnum):
    """How a message sounds."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Role(StrEnum):
    """Who said something."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    AGENT = "agent"


class Reason(StrEnum):
    """Why a person is needed."""

    LEGAL_OR_URGENT = "legal_or_urgent"
    HUMAN_REQUEST = "human_request"
    PROFILE_RULE = "profile_rule"
    COMPLAINT = "complaint"
    REPEATED_FAILURE = "repeated_failure"
    ANGER = "anger"


class Priority(StrEnum):
    """How soon a person is needed."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One earlier message of the conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whether a person is needed, why, how soon, and the evidence, most important first."""

    should_escalate: bool
    reason_code: Reason | None = None
    reason: str = ""
    priority: Priority | None = None
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one message wants and whether a person is needed.

    `confidence` and those of `runners_up` run from 0 to 1; `sentiment_score` from -1 to 1; `language` is an ISO 639-1
    code or `und`; `matched` names the rules that decided the intent.
    """

    intent: Intent
    confidence: float
    runners_up: tuple[tuple[Intent, float], ...]
    language: str
    sentiment: Sentiment
    sentiment_score: float
    escalation: Escalation
    matched: tuple[str, ...] = ()
