"""The floor under the quality of intent-service on its own benchmark."""

import importlib.util
import json
import random
from pathlib import Path

import pytest

from intent_service.adapters.assembly import build_analyzer
from intent_service.adapters.model_files import MODEL_PATH, read_model
from intent_service.adapters.scoring import read_labelled, score
from intent_service.domain.analysis import Role, Utterance
from intent_service.domain.text import fold
from intent_service.training.__main__ import DATA
from intent_service.training.build import SEED, data_digest
from intent_service.training.corpus import plain_phrases, written_phrases
from intent_service.training.held_out import too_near
from intent_service.training.noise import with_typos

HERE = Path(__file__).parent
MESSAGES = HERE / "messages.jsonl"
CONVERSATIONS = [json.loads(line) for line in (HERE / "conversations.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def analyzer():
    return build_analyzer()


def told_by_keywords(text):
    spec = importlib.util.spec_from_file_location("keywords", HERE / "keywords.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.told_by_keywords(text)


def accuracy(analyzer, change):
    messages = read_labelled(MESSAGES)
    return sum(analyzer.analyze(change(one.text)).intent is one.intent for one in messages) / len(messages)


def test_given_model_file_when_compared_then_it_was_built_from_the_present_phrases():
    assert read_model(MODEL_PATH).data_digest == data_digest(DATA), "run `make intent-model`"


def test_given_benchmark_when_scored_then_quality_is_above_the_floor(analyzer):
    result = score(analyzer, read_labelled(MESSAGES))
    assert result.macro_f1 >= 0.96
    assert result.accuracy_by_language["es"] >= 0.955
    assert result.calibration_error <= 0.06


def test_given_plain_keywords_when_scored_then_they_are_far_below(analyzer):
    messages = read_labelled(MESSAGES)
    right = sum(told_by_keywords(one.text) == one.intent for one in messages) / len(messages)
    assert right < 0.55
    assert score(analyzer, messages).accuracy > right + 0.3


@pytest.mark.parametrize(
    ("name", "change", "loss"),
    [
        ("accents stripped", lambda text: text if text.isascii() else fold(text), 0.03),
        ("upper case", str.upper, 0.03),
        ("a typo in each long word", lambda text: with_typos(text, random.Random(text), shortest=6), 0.04),
        ("other typos", lambda text: with_typos(text, random.Random(f"{text} again"), shortest=6), 0.04),
    ],
)
def test_given_messages_written_worse_when_scored_then_little_is_lost(analyzer, name, change, loss):
    assert accuracy(analyzer, change) >= accuracy(analyzer, str) - loss, name


def test_given_phrases_to_learn_from_when_compared_then_no_benchmark_sentence_is_near_any_of_them():
    plain = plain_phrases(DATA, SEED)
    learned = [phrase.text for phrase in [*plain, *written_phrases(plain, DATA, SEED)]]
    said = [turn["text"] for one in CONVERSATIONS for turn in one["messages"] if turn["role"] == "user"]
    assert too_near(learned, [*(one.text for one in read_labelled(MESSAGES)), *said]) == {}


def first_escalation(analyzer, messages):
    history, number = [], 0
    for message in messages:
        if message["role"] == "user":
            number += 1
            escalation = analyzer.analyze(message["text"], history).escalation
            if escalation.should_escalate:
                return escalation.reason_code, number
        history.append(Utterance(Role(message["role"]), message["text"]))
    return None, None


def test_given_conversations_when_decided_then_a_person_comes_at_the_right_message(analyzer):
    told = [first_escalation(analyzer, one["messages"]) for one in CONVERSATIONS]
    right = [
        decided == (one["reason"], one["at_user_message"]) for decided, one in zip(told, CONVERSATIONS, strict=True)
    ]
    wrong = [(one["id"], decided) for decided, one, ok in zip(told, CONVERSATIONS, right, strict=True) if not ok]
    assert sum(right) / len(right) >= 0.93, wrong
    false = [
        one["id"] for decided, one in zip(told, CONVERSATIONS, strict=True) if one["reason"] is None and decided[1]
    ]
    assert len(false) <= 1, false
