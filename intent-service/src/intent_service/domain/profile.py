"""What a business adds to the built-in intents: phrases, keywords, patterns, thresholds and escalation rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from intent_service.domain.analysis import Intent
from intent_service.domain.rules import RuleSet

# Below the first similarity a phrase says nothing about a message, from the second on it decides alone.
UNRELATED = 0.55
ALIKE = 0.78
# With an n-gram or a vector that close nothing else is asked.
DECIDED = 0.97


@dataclass(frozen=True, slots=True)
class ProfileRules:
    """The intents file of one business, validated.

    Args:
        phrases: example phrases with their intent.
        intent_rules: patterns and keywords that decide an intent.
        escalation_rules: patterns and keywords that call a person.
        thresholds: confidence below which an intent becomes `other`.
        reasons: text for people by the name of an escalation rule.
    """

    phrases: tuple[tuple[Intent, str], ...] = ()
    intent_rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    escalation_rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    thresholds: Mapping[Intent, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of a business with the vectors of its phrases.

    Args:
        rules: the validated file.
        texts: the normalised phrases.
        vectors: one row for each phrase.
        columns: the class of each phrase.
    """

    rules: ProfileRules
    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    columns: NDArray[np.int64]

    def adapted(
        self, probabilities: NDArray[np.float32], text: str, vector: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], str]:
        """Return the probabilities moved towards the intent of the nearest phrase, and that phrase if it counted."""
        if not self.texts:
            return probabilities, ""
        similarities = self.vectors @ vector
        words = set(text.split(" "))
        shared = np.array([_overlap(words, set(phrase.split(" "))) for phrase in self.texts], dtype=np.float32)
        nearness = np.maximum(similarities, shared)
        nearest = int(nearness.argmax())
        weight = min(1.0, max(0.0, (float(nearness[nearest]) - UNRELATED) / (ALIKE - UNRELATED))) * DECIDED
        if weight == 0:
            return probabilities, ""
        moved = probabilities * (1 - weight)
        moved[self.columns[nearest]] += weight
        return moved, self.texts[nearest]


def _overlap(left: set[str], right: set[str]) -> float:
    return len(left & right) / len(left | right)
