"""Puts an analyzer together from the files that ship with the service."""

from __future__ import annotations

from intent_service.adapters.encoder import SentenceEncoder
from intent_service.adapters.model_files import read_model
from intent_service.adapters.rule_files import (
    read_decider,
    read_failures,
    read_intent_rules,
    read_lexicon,
    read_reasons,
    read_spellings,
)
from intent_service.domain.analyzer import Analyzer, Parts
from intent_service.domain.escalation import Thresholds


def build_analyzer(thresholds: Thresholds | None = None) -> Analyzer:
    """Return an analyzer with the built-in model and rules."""
    model = read_model()
    parts = Parts(
        read_spellings(),
        model.speller,
        model.classifier,
        SentenceEncoder(),
        read_intent_rules(),
        read_decider(thresholds or Thresholds()),
        read_failures(),
        model.languages,
        read_lexicon(),
        read_reasons(),
    )
    return Analyzer(parts)
