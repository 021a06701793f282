"""What a turn ends with: an answer or a person, never silence; pure."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files

from gateway.worker.media import NOTHING_BESIDE, Act, Alone, Beside
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1.conversation_pb2 import Message
from kommomesh.conversation.v1.turn_service_pb2 import AnswerDecision, EscalateDecision, NoAnswerDecision
from kommomesh.intent.v1.analysis_pb2 import Escalation, EscalationReason
from kommomesh.llm.v1.generation_pb2 import KNOWLEDGE_KIND_PRODUCT, Generation, KnowledgeRow
from kommomesh.llm.v1.reply_service_pb2 import GenerateReplyResponse, PersonNeeded
from kommomesh_runtime.profile import LANGUAGES, BusinessProfile

MAX_PARTS = 20
MAX_PART_CHARACTERS = 4096
MAX_REASON_CHARACTERS = 1000

Decision = AnswerDecision | EscalateDecision | NoAnswerDecision


def _reasons() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((files("gateway.worker") / "reasons.toml").read_text(encoding="utf-8"))


REASONS = _reasons()


@dataclass(frozen=True, slots=True)
class Speech:
    """How the business speaks to this client now.

    Args:
        profile: holds the fixed texts.
        language: `es`, `pt` or `en`, the client's where it could be told.
        at: the time, which decides whether somebody of the business is there.
    """

    profile: BusinessProfile
    language: str
    at: datetime

    def say(self, key: str) -> list[str]:
        """Return the parts of a fixed text; none where the business left it blank."""
        return fitting_parts([self.profile.text(key, self.language)])

    def unsaid(self, beside: Beside, history: Iterable[Message]) -> Beside:
        """Return what to do with files, without lines that the client has read before, in whatever language."""
        said = "\n".join(message.content for message in history if message.role == common.ROLE_ASSISTANT)
        return replace(beside, told=tuple(key for key in beside.told if not self._is_in(said, key)))

    def _is_in(self, said: str, key: str) -> bool:
        return any(text.strip() and text in said for text in self.profile.texts[key].values())

    def notice(self, *, is_failure: bool) -> list[str]:
        """Return what the client reads when a person is called; while nobody is there, with the next opening."""
        key = "failure_notice" if is_failure else "handoff_notice"
        return fitting_parts([self.profile.text_at(key, self.at, self.language)])


def language_of(analyzed: str, locale: str) -> str:
    """Return the language to speak: the one that was heard where there are texts in it, else the account's.

    Args:
        analyzed: ISO 639-1 code, `und`, or empty.
        locale: BCP 47 tag of the account.
    """
    return analyzed if analyzed in LANGUAGES else locale.split("-")[0].lower()


def reason_text(reason_code: str, locale: str) -> str:
    """Return why the worker called a person, for the people of the business.

    Args:
        reason_code: names the reason.
        locale: BCP 47 tag of the account.
    """
    by_language = REASONS[reason_code]
    return by_language.get(language_of("", locale), by_language["es"])


def failed(reason_code: str, locale: str, speech: Speech | None) -> EscalateDecision:
    """Return the call for a person after a failure of ours.

    Args:
        reason_code: names the failure.
        locale: BCP 47 tag of the account, for the reason that its people read.
        speech: how to tell the client; None when nothing is known about the business.
    """
    return EscalateDecision(
        reason_code=reason_code,
        reason=reason_text(reason_code, locale),
        priority=common.PRIORITY_HIGH,
        is_failure=True,
        notice_parts=speech.notice(is_failure=True) if speech else [],
    )


def handed_over(escalation: Escalation, speech: Speech) -> EscalateDecision:
    """Return the call for a person that the analysis asks for."""
    code = EscalationReason.Name(escalation.reason_code).removeprefix("ESCALATION_REASON_").lower()
    return EscalateDecision(
        reason_code="escalation" if code == "unspecified" else code,
        reason=escalation.reason[:MAX_REASON_CHARACTERS],
        priority=escalation.priority,
        notice_parts=speech.notice(is_failure=False),
    )


def wordless(found: Alone, locale: str, speech: Speech) -> Decision:
    """Return what a burst without words ends with; a person where the business left the text to say blank."""
    if found.act is Act.SILENCE:
        return NoAnswerDecision(reason_code=f"{found.text}_again")
    said = speech.say(found.text) if found.is_said else []
    if found.act is Act.ASK and said:
        return AnswerDecision(parts=said, shown_message_ids=found.shown)
    # What could not be read and who looks at it now, in one bubble.
    notice = "\n".join([*(said if found.act is Act.HAND_OVER else ()), *speech.notice(is_failure=False)])
    return EscalateDecision(
        reason_code=found.text,
        reason=reason_text(found.text, locale),
        priority=common.PRIORITY_MEDIUM,
        notice_parts=fitting_parts([notice]),
    )


def generated(
    response: GenerateReplyResponse, locale: str, speech: Speech, beside: Beside = NOTHING_BESIDE
) -> Decision:
    """Return what becomes of llm-service's answer.

    Args:
        response: the answer.
        locale: BCP 47 tag of the account.
        speech: how to speak to the client.
        beside: what becomes of files that came with the words.
    """
    if response.WhichOneof("result") == "person_needed":
        return _person(response.person_needed, speech)
    parts = fitting_parts(response.reply.parts or [response.reply.text])
    if not parts or len(parts) > MAX_PARTS:
        return failed("reply_unusable", locale, speech)
    parts = [*parts, *(line for key in beside.told for line in speech.say(key))][:MAX_PARTS]
    usage = response.generation.usage
    return AnswerDecision(
        parts=parts,
        ai_model=response.generation.model,
        tokens_used=usage.prompt_tokens + usage.completion_tokens,
        products_referenced=products_in("\n".join(parts), response.generation),
        shown_message_ids=beside.shown,
    )


def _person(needed: PersonNeeded, speech: Speech) -> EscalateDecision:
    return EscalateDecision(
        reason_code=needed.reason_code or "person_needed",
        reason=needed.reason[:MAX_REASON_CHARACTERS],
        priority=needed.priority,
        is_failure=needed.is_failure,
        notice_parts=speech.notice(is_failure=needed.is_failure),
    )


def fitting_parts(parts: Iterable[str]) -> list[str]:
    """Return the parts that say something, none longer than a delivery may be."""
    cleaned = (part.replace("\x00", "").strip() for part in parts)
    pieces = (
        part[start : start + MAX_PART_CHARACTERS]
        for part in cleaned
        for start in range(0, len(part), MAX_PART_CHARACTERS)
    )
    return [piece for piece in pieces if piece.strip()]


def products_in(text: str, generation: Generation) -> list[str]:
    """Return the SKUs of the products that a reply speaks of, of those that it could use, each once."""
    words = _words(text)
    spoken = (row.id for row in generation.rows if row.kind == KNOWLEDGE_KIND_PRODUCT and _is_named(row, text, words))
    return list(dict.fromkeys(spoken))


def _is_named(row: KnowledgeRow, text: str, words: frozenset[str]) -> bool:
    title = _words(row.title)
    return row.id.casefold() in text.casefold() or (bool(title) and title <= words)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
