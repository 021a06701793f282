"""The rows that a model is given for a burst."""

from collections.abc import Iterable

from llm_service.domain.knowledge import Knowledge
from llm_service.domain.phrases import clauses, sentences
from llm_service.domain.sentence_replies import products_named
from llm_service.domain.values import Kind, Question, Row, Speaker

PRODUCTS_PER_SENTENCE = 5
FAQS_PER_SENTENCE = 3
MOST_PRODUCTS = 12
MOST_FAQS = 8
CONTEXT_MESSAGES = 6
SURE = 0.85


def _searched(knowledge: Knowledge, text: str, language: str) -> list[Row]:
    found = [
        *knowledge.find_products(text, PRODUCTS_PER_SENTENCE),
        *knowledge.find_faqs(text, FAQS_PER_SENTENCE, language),
    ]
    if max((row.score for row in found), default=0.0) < SURE:
        for part in clauses(text):
            found += knowledge.find_products(part, PRODUCTS_PER_SENTENCE)
            found += knowledge.find_faqs(part, 1, language)
    return found


def _context(question: Question, knowledge: Knowledge) -> list[Row]:
    found: list[Row] = []
    for said in reversed(question.history[-CONTEXT_MESSAGES:]):
        if said.speaker in (Speaker.BOT, Speaker.PERSON):
            found += products_named(knowledge, said.text)
        elif not found:
            found += knowledge.find_products(said.text, PRODUCTS_PER_SENTENCE)
    return found


def _distinct(rows: Iterable[Row], kind: Kind, most: int) -> list[Row]:
    return list({row.id: row for row in reversed([r for r in rows if r.kind is kind])}.values())[::-1][:most]


def retrieve(question: Question, knowledge: Knowledge, language: str) -> tuple[Row, ...]:
    """Return the rows for every sentence of the burst, then the products spoken of before, each once.

    Args:
        question: the burst and what came before it.
        knowledge: the business's rows.
        language: answers in it come first.
    """
    found = [
        row
        for said in question.burst
        for sentence in sentences(said.text)
        for row in _searched(knowledge, sentence, language)
    ]
    found += _context(question, knowledge)
    return (*_distinct(found, Kind.PRODUCT, MOST_PRODUCTS), *_distinct(found, Kind.FAQ, MOST_FAQS))
