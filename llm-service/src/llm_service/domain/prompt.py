"""The request to a model: system prompt, history in order, and the burst once at the end."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from llm_service.domain.values import Kind, Question, Row, Said, Speaker

MARKER = "[[PERSON]]"
LONGEST_MESSAGE = 4096
LONGEST_HISTORY_MESSAGE = 1500
LONGEST_NAME = 60
_MARKED = re.compile(r"\[\[\s*PERSON[A]?\s*(?:\]\])?\s*:?\s*([^\n\]]*)", re.IGNORECASE)
ChatMessages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wordings:
    """Prompt templates and the small words of prompts, by language."""

    templates: Mapping[str, str]
    words: Mapping[str, Mapping[str, Any]]

    def language(self, wanted: str) -> str:
        """Return `wanted` where there is a prompt in it, else Spanish."""
        return wanted if wanted in self.templates else "es"


@dataclass(frozen=True, slots=True)
class BusinessFacts:
    """What a business says of itself; `hours` maps a weekday's English name to spans such as `9:30-19:00`."""

    name: str
    voice: str
    about: str = ""
    hours: Mapping[str, str] | None = None
    address: str = ""
    website: str = ""
    shipping: str = ""
    payments: str = ""
    escalate_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request to a model; `instructions` is its system prompt without the business's data."""

    messages: ChatMessages
    instructions: str

    def as_json(self) -> str:
        """Return the messages as JSON, for the trace."""
        return json.dumps(list(self.messages), ensure_ascii=False)


def facts_text(facts: BusinessFacts, words: Mapping[str, Any]) -> str:
    """Return what a business says of itself, a line each."""
    days = (facts.hours or {}).items()
    told = {
        "about": facts.about,
        "hours": "; ".join(f"{words['days'][day]} {span or words['closed']}" for day, span in days),
        "address": facts.address,
        "website": facts.website,
        "shipping": facts.shipping,
        "payments": facts.payments,
        "escalate_on": "; ".join(facts.escalate_on),
    }
    return "\n".join(f"{words[key]}: {value}" for key, value in told.items() if value)


def _row_text(row: Row, words: Mapping[str, Any], burst: Sequence[Said]) -> str:
    if row.kind is Kind.FAQ:
        # What the client wrote word for word would stand in the request twice.
        if any(said.text.strip() and said.text.strip() in row.title for said in burst):
            return f"{words['question']}: {row.text}"
        return f"{words['question']}: {row.title} → {row.text}"
    price = f"{row.currency} {row.price}" if row.price is not None else words["unknown"]
    stock = words["unknown"] if row.stock is None else str(row.stock)
    link = f" | {words['link']}: {row.url}" if row.url else ""
    told = f"{words['product']} {row.id}: {row.title} | {words['price']}: {price} | {words['stock']}: {stock}"
    return f"{told} | {row.text}{link}"


def _content(said: Said, words: Mapping[str, Any], longest: int) -> str:
    text = said.text.strip()[:longest]
    # Words of a voice note are what it says.
    if said.content_type in ("text", "voice", "audio") and text:
        return text
    kinds = words["kinds"]
    note = str(words["media"]).format(kind=kinds.get(said.content_type, kinds["other"]))
    return f"{note} {text}".strip()


def _history_message(said: Said, words: Mapping[str, Any]) -> Mapping[str, str]:
    text = _content(said, words, LONGEST_HISTORY_MESSAGE)
    if said.speaker is Speaker.CLIENT:
        return {"role": "user", "content": text}
    # A colleague's words are the company's, so they are the assistant's side, marked as not the bot's own.
    prefix = f"{words['colleague']} " if said.speaker is Speaker.PERSON else ""
    return {"role": "assistant", "content": f"{prefix}{said.text.strip()[:LONGEST_HISTORY_MESSAGE]}"}


def _contact_line(name: str, words: Mapping[str, Any]) -> str:
    # One short line: the client chose this name, and it must not become an instruction.
    tidy = " ".join(re.sub(r"[^\w\s.'-]", " ", name).split())[:LONGEST_NAME]
    return f"\n{words['contact']}: {tidy}" if tidy else ""


def _merged(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return the messages with those of one side in a row as one: strict chat templates want the sides to alternate."""
    return [
        {"role": role, "content": "\n".join(message["content"] for message in said)}
        for role, said in groupby(messages, key=lambda message: message["role"])
    ]


def build_prompt(
    wordings: Wordings,
    facts: BusinessFacts,
    question: Question,
    rows: Sequence[Row],
    *,
    language: str,
    canary: str,
    most_history: int,
    correction: Sequence[str] = (),
) -> Prompt:
    """Return the request for a burst; each message of the client is in it once.

    Args:
        wordings: templates by language.
        facts: what the business says of itself.
        question: the burst and what came before it.
        rows: the rows that the model may use.
        language: language to answer in.
        canary: a word that only the prompt of this request holds.
        most_history: at most so many messages of history, the newest.
        correction: why an earlier draft was rejected.
    """
    chosen = wordings.language(language)
    words = wordings.words[chosen]
    found = "\n".join(_row_text(row, words, question.burst) for row in rows) or words["none"]
    values = {
        "name": facts.name,
        "voice": facts.voice,
        "language": words["languages"].get(language, language),
        "marker": MARKER,
        "canary": canary,
    }
    template = wordings.templates[chosen]
    instructions = template.format_map({**values, "business": "", "rows": ""})
    business = facts_text(facts, words) + _contact_line(question.contact_name, words)
    system = template.format_map({**values, "business": business, "rows": found})
    if correction:
        system = f"{system.rstrip()}\n\n{words['correction'].format(reasons='; '.join(correction))}"
    history = [_history_message(said, words) for said in question.history[-most_history:]] if most_history else []
    burst = [{"role": "user", "content": _content(said, words, LONGEST_MESSAGE)} for said in question.burst]
    turns = _merged([*(message for message in history if message["content"]), *burst])
    messages = ({"role": "system", "content": system.strip()}, *turns)
    return Prompt(messages, instructions)


def person_wanted(text: str) -> str | None:
    """Return the model's reason for a person; None when it wants none, empty when it gave no reason."""
    marked = _MARKED.search(text)
    return marked[1].strip()[:300] if marked else None


def without_prefixes(text: str, wordings: Wordings) -> str:
    """Return `text` without the mark of a colleague's words, which models like to imitate."""
    for words in wordings.words.values():
        text = text.removeprefix(str(words["colleague"])).lstrip()
    return text
