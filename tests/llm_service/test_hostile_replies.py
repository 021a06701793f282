"""Replies of a careless model, one a line of a file: the bad ones are stopped, the good ones are sent."""

from pathlib import Path

import pytest

from llm_service.adapters.library import Business, load_business, shipped_guards, shipped_wordings
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.verdicts import failed
from llm_service.domain.prompt import build_prompt, facts_text
from llm_service.domain.rendering import render
from llm_service.domain.retrieval import retrieve
from llm_service.domain.values import Question, Said, Speaker
from llm_service.draft_evidence import evidence_for

CANARY = "5eedc0ffee5eed"
FILES = Path(__file__).parent / "replies"
ASKED = ("Hola, cuánto sale la sartén antiadherente?", "hay stock de la de 28?", "cuánto sale el envío a Córdoba?")


def _lines(name: str) -> list[str]:
    lines = (FILES / name).read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n").replace("{canary}", CANARY) for line in lines if line.strip()]


def _evidence(business: Business) -> Evidence:
    question = Question(tuple(Said(Speaker.CLIENT, text) for text in ASKED))
    rows = retrieve(question, business.knowledge, "es")
    wordings = shipped_wordings()
    prompt = build_prompt(wordings, business.facts, question, rows, language="es", canary=CANARY, most_history=5)
    facts = facts_text(business.facts, wordings.words["es"])
    return evidence_for(business, question, rows, facts=facts, instructions=prompt.instructions, canary=CANARY)


EVIDENCE = _evidence(load_business(None))


@pytest.mark.parametrize("text", _lines("bad.txt"))
def test_given_a_bad_reply_when_the_guards_look_then_it_is_stopped(text: str) -> None:
    assert failed(shipped_guards().check(render(text)[0], EVIDENCE)) or shipped_guards().promises_person(text)


@pytest.mark.parametrize("text", _lines("good.txt"))
def test_given_a_good_reply_when_the_guards_look_then_it_is_sent(text: str) -> None:
    assert failed(shipped_guards().check(render(text)[0], EVIDENCE)) == ()
