"""Decides whether a person is needed, from scored evidence in the message and in the conversation before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from intent_service.domain.analysis import Escalation, Intent, Priority, Reason
from intent_service.domain.conversation import Failure, Refusal
from intent_service.domain.profile import ProfileRules
from intent_service.domain.rules import Rule, RuleSet

# Reasons in the order in which they name the escalation when several hold.
ORDER = tuple(Reason)
_PRIORITY = {
    Reason.LEGAL_OR_URGENT: Priority.CRITICAL,
    Reason.HUMAN_REQUEST: Priority.HIGH,
    Reason.PROFILE_RULE: Priority.MEDIUM,
    Reason.COMPLAINT: Priority.HIGH,
    Reason.REPEATED_FAILURE: Priority.MEDIUM,
    Reason.ANGER: Priority.HIGH,
}
_FAILURE_NAMES = {
    Failure.TWO_FAILED_ANSWERS: "history.two_failed_answers",
    Failure.SAME_ANSWER_AGAIN: "history.same_answer_again",
    Failure.SAME_QUESTION_AGAIN: "history.same_question_again",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which evidence calls a person, 0 to 1."""

    human_request: float = 0.45
    complaint: float = 0.5
    decision: float = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a person, with a score of 0 to 1."""

    reason: Reason
    name: str
    score: float
    priority: Priority


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision looks at.

    `texts` are the message normalised, and the same with its typos corrected.
    `intent` and `confidence` are those of the message, `intent_rules` the names of the rules that decided it.
    """

    texts: tuple[str, ...]
    intent: Intent
    confidence: float
    intent_rules: tuple[str, ...]
    failure: Failure
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Decider:
    """The rules of escalation.

    Args:
        rules: the built-in rules that call a person.
        mild: rules of complaints that can wait a little.
        thresholds: scores from which evidence counts.
    """

    rules: RuleSet
    mild: RuleSet
    thresholds: Thresholds

    def decide(self, situation: Situation, profile: ProfileRules | None) -> tuple[Escalation, Evidence | None]:
        """Return the decision without its text for people, and the evidence that led it."""
        found = sorted(self._evidence(situation, profile), key=_rank)
        strong = [evidence for evidence in found if evidence.score >= self.thresholds.decision]
        if not strong:
            return Escalation(should_escalate=False), None
        first = strong[0]
        names = tuple(dict.fromkeys(evidence.name for evidence in found))
        return Escalation(True, first.reason, "", first.priority, names), first

    def _evidence(self, situation: Situation, profile: ProfileRules | None) -> Iterator[Evidence]:
        yield from (_of_rule(rule) for rule in self.rules.matches(*situation.texts))
        yield from self._of_intent(situation)
        if situation.failure is not Failure.NONE:
            yield _evidence(Reason.REPEATED_FAILURE, _FAILURE_NAMES[situation.failure], 0.8)
        if situation.refusal is Refusal.ANSWER:
            yield _evidence(Reason.HUMAN_REQUEST, "history.answer_useless", 0.7)
        if profile is not None:
            yield from (_of_rule(rule) for rule in profile.escalation_rules.matches(*situation.texts))

    def _of_intent(self, situation: Situation) -> Iterator[Evidence]:
        confidence = situation.confidence
        # "No me sirve" about an offered date or size only sounds like a word against the bot.
        is_about_offer = situation.refusal is Refusal.OFFER and not situation.intent_rules
        if situation.intent is Intent.ESCALATION and not is_about_offer:
            priority = Priority.MEDIUM if situation.intent_rules[:1] == ("bot.not_understood",) else Priority.HIGH
            score = _scaled(confidence, self.thresholds.human_request)
            for name in situation.intent_rules or ("intent.escalation",):
                yield Evidence(Reason.HUMAN_REQUEST, name, score, priority)
        if situation.intent is Intent.COMPLAINT:
            priority = Priority.MEDIUM if self.mild.matches(*situation.texts) else Priority.HIGH
            score = _scaled(confidence, self.thresholds.complaint)
            for name in situation.intent_rules or ("intent.complaint",):
                yield Evidence(Reason.COMPLAINT, name, score, priority)


def _of_rule(rule: Rule) -> Evidence:
    reason = Reason(rule.label)
    return Evidence(reason, rule.name, rule.confidence, Priority(rule.priority) if rule.priority else _PRIORITY[reason])


def _evidence(reason: Reason, name: str, score: float) -> Evidence:
    return Evidence(reason, name, score, _PRIORITY[reason])


def _scaled(confidence: float, threshold: float) -> float:
    """Return a score that reaches one half where `confidence` reaches `threshold`."""
    if confidence >= threshold:
        return 0.5 + 0.5 * (confidence - threshold) / max(1e-9, 1 - threshold)
    return 0.5 * confidence / threshold


def _rank(evidence: Evidence) -> tuple[bool, int, float]:
    return evidence.score < 0.5, ORDER.index(evidence.reason), -evidence.score
