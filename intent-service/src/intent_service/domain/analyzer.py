"""Analyses messages: normalise, classify, apply rules and profile, decide on escalation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from intent_service.domain.analysis import MAXIMUM_CHARACTERS, Analysis, Escalation, Intent, Reason, Utterance
from intent_service.domain.classifier import Classifier, Encoder
from intent_service.domain.conversation import Failure, FailureReader, Turn
from intent_service.domain.escalation import Decider, Situation
from intent_service.domain.language import LanguageModel
from intent_service.domain.profile import Profile, ProfileRules
from intent_service.domain.rules import Rule, RuleSet
from intent_service.domain.sentiment import Lexicon, sentiment_of
from intent_service.domain.spelling import Speller
from intent_service.domain.text import Spellings, normalise
from kommomesh_runtime.errors import InvalidArgument

DEFAULT_LOCALE = "es-AR"
VECTOR_DIMENSIONS = 512
RUNNERS_UP = 3
# Nothing about language is certain, and a threshold of 1 can be used to switch an intent off.
_MOST_CONFIDENT = 0.999
# The encoder reads the start and the end of a long text: requests stand there, and its time grows with the words.
_ENCODED_HEAD_WORDS = 48
_ENCODED_TAIL_WORDS = 24


@dataclass(frozen=True, slots=True)
class Request:
    """One message to analyse.

    Args:
        text: 1 to 4,096 characters.
        history: what was said before it, oldest first.
        locale: BCP 47 tag; the language of the reason for people.
        profile: what the business adds, or None.
    """

    text: str
    history: Sequence[Utterance] = ()
    locale: str = DEFAULT_LOCALE
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What an analyzer is made of; see the module of each part."""

    spellings: Spellings
    speller: Speller
    classifier: Classifier
    encoder: Encoder
    intent_rules: RuleSet
    decider: Decider
    failures: FailureReader
    languages: LanguageModel
    lexicon: Lexicon
    reasons: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One message normalised, the same with typos corrected, its sentence vector and its probabilities."""

    written: str
    text: str
    vector: NDArray[np.float32]
    row: NDArray[np.float32]


class Analyzer:
    """Tells what messages want and whether a person is needed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._intents = tuple(Intent(name) for name in parts.classifier.classes)

    def analyze(
        self,
        text: str,
        history: Sequence[Utterance] = (),
        *,
        locale: str = DEFAULT_LOCALE,
        profile: Profile | None = None,
    ) -> Analysis:
        """Return the analysis of one message; arguments as `Request`.

        Raises:
            InvalidArgument: the text is empty, too long or not text.
        """
        check_text(text)
        return self.analyze_many([Request(text, history, locale, profile)])[0]

    def analyze_many(self, requests: Sequence[Request]) -> list[Analysis]:
        """Return one analysis for each request, in their order; their texts have passed `check_text`."""
        if not requests:
            return []
        normalised = [self.normalised(request.text) for request in requests]
        prepared = [self._parts.speller.corrected(text) for text in normalised]
        # Equal texts are classified once.
        places = {text: place for place, text in enumerate(dict.fromkeys(prepared))}
        compared = {text for request, text in zip(requests, prepared, strict=True) if _has_phrases(request.profile)}
        rows, vectors = self._classified(list(places), compared)
        return [
            self._analysis(request, _Reading(written, text, vectors[places[text]], rows[places[text]]))
            for request, written, text in zip(requests, normalised, prepared, strict=True)
        ]

    def _classified(self, texts: Sequence[str], compared: Set[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return one row of probabilities for each text, and its sentence vector where one was needed, else zeros."""
        classifier = self._parts.classifier
        by_grams = classifier.by_grams(texts)
        sure = classifier.is_sure(by_grams)
        wanted = [place for place, text in enumerate(texts) if not sure[place] or text in compared]
        vectors = np.zeros((len(texts), VECTOR_DIMENSIONS), dtype=np.float32)
        if wanted:
            vectors[wanted] = self._parts.encoder.encode([_for_encoder(texts[place]) for place in wanted])
        return classifier.probabilities(by_grams, vectors), vectors

    def normalised(self, text: str) -> str:
        """Return the text normalised, typos and all."""
        return normalise(text, self._parts.spellings)

    def prepared(self, text: str) -> str:
        """Return the text normalised, with typos corrected."""
        return self._parts.speller.corrected(self.normalised(text))

    def profile(self, rules: ProfileRules) -> Profile:
        """Return the rules of a business with the vectors of its phrases."""
        texts = tuple(self.prepared(phrase) for _, phrase in rules.phrases)
        vectors = self._parts.encoder.encode(texts) if texts else np.zeros((0, 1), dtype=np.float32)
        columns = np.array([self._intents.index(intent) for intent, _ in rules.phrases], dtype=np.int64)
        return Profile(rules, texts, vectors, columns)

    def _analysis(self, request: Request, reading: _Reading) -> Analysis:
        text = reading.text
        row, matched = self._decided(request.profile, reading)
        order = np.argsort(-row, kind="stable")
        ranked = [(self._intents[place], min(_MOST_CONFIDENT, float(row[place]))) for place in order[: RUNNERS_UP + 1]]
        intent, confidence = _above_threshold(ranked[0], request.profile)
        trouble = float(row[self._intents.index(Intent.COMPLAINT)])
        score = self._parts.lexicon.score(text, trouble)
        return Analysis(
            intent,
            confidence,
            tuple(pair for pair in ranked if pair[0] is not intent)[:RUNNERS_UP],
            self._parts.languages.detect(request.text, text),
            sentiment_of(score),
            score,
            self._escalation(request, reading, intent, confidence, matched),
            matched,
        )

    def _decided(self, profile: Profile | None, reading: _Reading) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        text = reading.text
        rules = self._parts.intent_rules.matches(text)
        row = self._ruled(reading.row, rules[:1])
        names = [rule.name for rule in rules]
        if profile is not None:
            row, phrase = profile.adapted(row, text, reading.vector)
            own = profile.rules.intent_rules.matches(text)
            row = self._ruled(row, own[:1])
            names = [rule.name for rule in own] + ([f"profile.phrase: {phrase}"] if phrase else []) + names
        return row, tuple(names)

    def _ruled(self, row: NDArray[np.float32], rules: Sequence[Rule]) -> NDArray[np.float32]:
        for rule in rules:
            column = self._intents.index(Intent(rule.label))
            row = row * (1 - rule.confidence)
            row[column] += rule.confidence
        return row

    def _escalation(
        self, request: Request, reading: _Reading, intent: Intent, confidence: float, matched: tuple[str, ...]
    ) -> Escalation:
        text = reading.text
        turns = [Turn(said.role, normalise(said.text, self._parts.spellings)) for said in request.history[-12:]]
        reader = self._parts.failures
        failure = reader.failure(turns, text) if turns else Failure.NONE
        refusal = reader.refusal(turns, text)
        rules = request.profile.rules if request.profile else None
        decision, first = self._parts.decider.decide(
            Situation((reading.written, text), intent, confidence, matched, failure, refusal), rules
        )
        if first is None or decision.reason_code is None:
            return decision
        own = rules.reasons.get(first.name, "") if rules else ""
        return replace(decision, reason=own or self._reason(decision.reason_code, request.locale, first.name))

    def _reason(self, reason: Reason, locale: str, name: str) -> str:
        texts = self._parts.reasons
        language = (locale or DEFAULT_LOCALE)[:2].lower()
        return texts.get(language, texts["es"])[reason.value].format(rule=name)


def check_text(text: object, field: str = "text") -> None:
    """Check that a message can be analysed.

    Raises:
        InvalidArgument: it is empty, longer than 4,096 characters or not text.
    """
    if not isinstance(text, str):
        raise InvalidArgument(field=field, problem="must be text")
    if len(text) > MAXIMUM_CHARACTERS:
        raise InvalidArgument(field=field, problem=f"must have at most {MAXIMUM_CHARACTERS} characters")
    if not text.strip():
        raise InvalidArgument(field=field, problem="is required")
    if "\0" in text:
        raise InvalidArgument(field=field, problem="must be text without NUL characters")


def _above_threshold(best: tuple[Intent, float], profile: Profile | None) -> tuple[Intent, float]:
    intent, confidence = best
    if profile is not None and confidence < profile.rules.thresholds.get(intent, 0.0):
        return Intent.OTHER, confidence
    return intent, confidence


def _has_phrases(profile: Profile | None) -> bool:
    return profile is not None and bool(profile.texts)


def _for_encoder(text: str) -> str:
    words = text.split(" ")
    if len(words) <= _ENCODED_HEAD_WORDS + _ENCODED_TAIL_WORDS:
        return text
    return " ".join(words[:_ENCODED_HEAD_WORDS] + words[-_ENCODED_TAIL_WORDS:])
