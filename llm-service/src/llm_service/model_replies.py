"""Replies that a model writes: retrieval, prompt, calls with a fallback, guards, and the data where all of it fails."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic

from kommomesh_runtime.deadline import budget, time_left
from llm_service.adapters.chat_model import ChatModel, Completion, Failure, ModelError
from llm_service.adapters.library import Business
from llm_service.domain.data_replies import MODEL_NAME, DataReply, handover, reply_from_data
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.manners import fewer_emoji
from llm_service.domain.guards.verdicts import Guards, failed
from llm_service.domain.prompt import Prompt, Wordings, build_prompt, facts_text, person_wanted, without_prefixes
from llm_service.domain.rendering import render, whole_sentences
from llm_service.domain.retrieval import retrieve
from llm_service.domain.values import (
    Generation,
    Handover,
    Outcome,
    Question,
    Reply,
    Row,
    Urgency,
    Usage,
    Verdict,
)
from llm_service.draft_evidence import evidence_for

MOST_DRAFTS = 2
SHORT_HISTORY = 4
SHORT_ROWS = 5
LEAST_SECONDS_FOR_ANOTHER = 1.0
OWN_FAILURES = ("no_answer_in_data",)


def rendered(text: str, business: Business) -> Reply:
    """Return a text as the bubbles that the business's limits allow."""
    limits = business.profile.limits
    whole, parts = render(text, limits.max_parts, limits.max_part_characters)
    return Reply(whole, parts)


def reply_of_data(data: DataReply, business: Business) -> Reply | Handover:
    """Return what the business's data says as bubbles, or why a person is needed."""
    if isinstance(data.result, Handover):
        return data.result
    reply = rendered(data.result, business)
    if reply.parts:
        return reply
    return handover(business.voice, "no_answer_in_data", "reason_no_answer", Urgency.LOW)


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Which models are asked, in order, how long a reply may take (seconds), and how much history a prompt holds."""

    models: tuple[str, ...]
    reply_seconds: float
    most_history: int


@dataclass
class _Record:
    """What the calls of one reply came to; it grows while the reply is written."""

    rows: tuple[Row, ...]
    model: str = MODEL_NAME
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "error"
    verdicts: tuple[Verdict, ...] = ()
    prompt_json: str = ""
    seconds: float = 0.0
    calls: int = 0

    def add(self, completion: Completion) -> None:
        self.model, self.finish_reason = completion.model, completion.finish_reason
        self.usage = self.usage.plus(completion.usage)
        self.calls += completion.calls

    def generation(self) -> Generation:
        return Generation(
            model=self.model,
            usage=self.usage,
            finish_reason=self.finish_reason,
            rows=self.rows,
            verdicts=self.verdicts,
            prompt_json=self.prompt_json,
            model_seconds=self.seconds,
            model_calls=self.calls,
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """One reply to write: the question, the business, the language and the rows."""

    question: Question
    business: Business
    language: str
    rows: tuple[Row, ...]
    canary: str
    most_history: int


@dataclass(frozen=True)
class ModelWriter:
    """Writes replies with a model.

    Args:
        chat: the model API.
        settings: models and limits.
        wordings: prompt templates.
        guards: what a draft has to pass.
        new_canary: makes a word that no other prompt holds.
    """

    chat: ChatModel
    settings: WriterSettings
    wordings: Wordings
    guards: Guards
    new_canary: Callable[[], str]

    async def write(self, business: Business, question: Question) -> Outcome:
        """Return a reply to a burst, or why a person is needed; a model that fails is not an error."""
        language = business.voice.language_of(question)
        rows = retrieve(question, business.knowledge, language)
        task = _Task(question, business, language, rows, self.new_canary(), self.settings.most_history)
        record = _Record(rows)
        with budget(self.settings.reply_seconds):
            result = await self._drafted(task, record)
        return Outcome(result, record.generation())

    async def _drafted(self, task: _Task, record: _Record) -> Reply | Handover:
        correction: tuple[str, ...] = ()
        for _ in range(MOST_DRAFTS):
            try:
                prompt, completion = await self._asked(task, record, correction)
            except ModelError as error:
                return self._without_model(task, record, error)
            result = self._judged(task, record, prompt, completion)
            if result is not None:
                return result
            correction = tuple(f"{v.guard}: {v.detail}" for v in failed(record.verdicts))
            left = time_left()
            if left is not None and left < LEAST_SECONDS_FOR_ANOTHER:
                break
        return self._rejected(task, record)

    async def _asked(self, task: _Task, record: _Record, correction: tuple[str, ...]) -> tuple[Prompt, Completion]:
        last: ModelError | None = None
        for model in self.settings.models:
            for attempt in (task, _shortened(task)):
                prompt = self._prompt(attempt, correction)
                record.prompt_json = prompt.as_json()
                try:
                    return prompt, await self._called(model, prompt, record)
                except ModelError as error:
                    last = error
                    if error.failure is not Failure.TOO_LONG:
                        break
        raise last or ModelError(Failure.FINAL, "no model is set", calls=0)

    async def _called(self, model: str, prompt: Prompt, record: _Record) -> Completion:
        began = monotonic()
        try:
            completion = await self.chat.complete(model, prompt.messages)
        except ModelError as error:
            record.calls += error.calls
            raise
        finally:
            record.seconds += monotonic() - began
        record.add(completion)
        return completion

    def _prompt(self, task: _Task, correction: tuple[str, ...]) -> Prompt:
        return build_prompt(
            self.wordings,
            task.business.facts,
            task.question,
            task.rows,
            language=task.language,
            canary=task.canary,
            most_history=task.most_history,
            correction=correction,
        )

    def _judged(self, task: _Task, record: _Record, prompt: Prompt, completion: Completion) -> Reply | Handover | None:
        """Return what a draft leads to; None when a guard refuses it."""
        voice = task.business.voice
        if completion.finish_reason == "content_filter":
            return handover(voice, "content_filter", "reason_content_filter", Urgency.MEDIUM)
        asked = person_wanted(completion.text)
        if asked is None and self.guards.promises_person(completion.text):
            asked = ""  # promised without the marker: what the client would read has to come true
        if asked is not None:
            wanted = handover(voice, "model_asks", "reason_model_asks", Urgency.MEDIUM)
            return replace(wanted, reason=asked) if asked else wanted
        text = without_prefixes(completion.text.strip(), self.wordings)
        if completion.finish_reason == "length":
            text = whole_sentences(text)
        reply = rendered(fewer_emoji(text), task.business)
        record.verdicts = self.guards.check(reply.text, _evidence(task, prompt, self.wordings))
        return None if failed(record.verdicts) else reply

    def _of_data(self, task: _Task, record: _Record) -> Reply | Handover | None:
        """Return what the data alone says where that answers everything that was asked; else None."""
        data = reply_from_data(task.question, task.business.knowledge, task.business.voice)
        fits = data.is_whole or (isinstance(data.result, Handover) and data.result.reason_code not in OWN_FAILURES)
        if not fits:
            return None
        record.model, record.rows = MODEL_NAME, data.rows
        return reply_of_data(data, task.business)

    def _without_model(self, task: _Task, record: _Record, error: ModelError) -> Reply | Handover:
        record.model, record.finish_reason = MODEL_NAME, error.failure.value
        voice = task.business.voice
        if error.failure is Failure.FILTERED:
            return handover(voice, "content_filter", "reason_content_filter", Urgency.MEDIUM)
        return self._of_data(task, record) or handover(
            voice, "model_unavailable", "reason_model_unavailable", Urgency.MEDIUM, is_failure=True
        )

    def _rejected(self, task: _Task, record: _Record) -> Reply | Handover:
        return self._of_data(task, record) or handover(
            task.business.voice, "guard_rejected", "reason_guard", Urgency.MEDIUM, is_failure=True
        )


def _evidence(task: _Task, prompt: Prompt, wordings: Wordings) -> Evidence:
    words = wordings.words[wordings.language(task.language)]
    return evidence_for(
        task.business,
        task.question,
        task.rows,
        facts=facts_text(task.business.facts, words),
        instructions=prompt.instructions,
        canary=task.canary,
        language=task.language,
    )


def _shortened(task: _Task) -> _Task:
    return replace(task, rows=task.rows[:SHORT_ROWS], most_history=min(SHORT_HISTORY, task.most_history))
