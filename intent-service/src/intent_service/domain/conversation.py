"""Reads the conversation before a message: answers that failed, and questions asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum, auto

import re2

from intent_service.domain.analysis import Role

SAME_WORDS = 0.75
SAME_ANSWER = 0.9
_LEAST_WORDS = 3
_LONG_WORD = 5


class Failure(Enum):
    """How the assistant failed the customer before the current message."""

    NONE = auto()
    TWO_FAILED_ANSWERS = auto()
    SAME_ANSWER_AGAIN = auto()
    SAME_QUESTION_AGAIN = auto()


class Refusal(Enum):
    """What the customer calls useless."""

    NONE = auto()
    ANSWER = auto()
    OFFER = auto()


@dataclass(frozen=True, slots=True)
class Turn:
    """One normalised utterance."""

    role: Role
    text: str


class FailureReader:
    """Finds failed answers in a conversation.

    Args:
        failed: patterns of answers that failed.
        closing: patterns of messages after which no answer is needed any more.
        useless: patterns that call the last answer useless.
        offered: patterns of what the assistant had offered, when the complaint is about that and not about the answer.
        insisting: patterns of messages that speak of the answers, and so ask for nothing new.
    """

    def __init__(
        self,
        failed: Sequence[str],
        closing: Sequence[str],
        useless: Sequence[str],
        offered: Sequence[str],
        insisting: Sequence[str],
    ) -> None:
        every = (failed, closing, useless, offered, insisting)
        self._failed, self._closing, self._useless, self._offered, self._insisting = map(_any_of, every)

    def failure(self, history: Sequence[Turn], text: str) -> Failure:
        """Return how the assistant failed before the message `text`, if the customer still needs an answer."""
        if self._closing.search(text):
            return Failure.NONE
        answers = [turn.text for turn in history if turn.role is Role.ASSISTANT][-2:]
        questions = [turn.text for turn in history if turn.role is Role.USER]
        if len(answers) == 2 and all(self._failed.search(answer) for answer in answers):
            return Failure.TWO_FAILED_ANSWERS
        if len(answers) == 2 and _is_repeated(*answers) and not self._is_new(text, questions[-2:]):
            return Failure.SAME_ANSWER_AGAIN
        if len(questions) >= 2 and all(_is_same(text, question) for question in questions[-2:]):
            return Failure.SAME_QUESTION_AGAIN
        return Failure.NONE

    def _is_new(self, text: str, questions: Sequence[str]) -> bool:
        """Tell whether a message asks for something else than the questions before it, which one answer had met."""
        every = text.split(" ")
        said = {word for word in every if len(word) >= _LONG_WORD}
        before = {word for question in questions for word in question.split(" ")}
        return "?" in every and bool(said) and said.isdisjoint(before) and not self._insisting.search(text)

    def refusal(self, history: Sequence[Turn], text: str) -> Refusal:
        """Return what the message calls useless, if anything: the last answer of the assistant, or what it offered."""
        answers = [turn.text for turn in history if turn.role is Role.ASSISTANT]
        if not answers or not self._useless.search(text):
            return Refusal.NONE
        is_offer = self._offered.search(answers[-1]) or self._offered.search(text)
        return Refusal.OFFER if is_offer else Refusal.ANSWER


def _any_of(patterns: Sequence[str]) -> re2._Regexp[str]:
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _is_repeated(left: str, right: str) -> bool:
    """Tell whether an answer was given again; a list that became shorter is another answer."""
    a, b = left.split(" "), right.split(" ")
    if min(len(a), len(b)) < _LEAST_WORDS:
        return left == right and len(a) > 1
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= SAME_ANSWER


def _is_same(left: str, right: str) -> bool:
    a, b = set(left.split(" ")), set(right.split(" "))
    if min(len(a), len(b)) < _LEAST_WORDS:
        return left == right and len(a) > 1
    return len(a & b) / len(a | b) >= SAME_WORDS
