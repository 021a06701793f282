"""The hand-over package: what people find in Kommo when a person is called, composed from stored data alone."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

from conversation_service.domain.alerts import AlertDetails
from conversation_service.domain.channel_message import ChannelMessage
from conversation_service.domain.floor import Priority
from conversation_service.domain.media import Media, described, is_media, viewing

LANGUAGES = ("es", "pt", "en")
FALLBACK_LANGUAGE = "es"
MAX_WORDS = 280
MAX_REPLY = 200
MAX_REASON = 240
MAX_TASK_WORDS = 120
MAX_LINK = 600
_SPACES = re.compile(r"\s+")
_TEXTS = tomllib.loads((files("conversation_service.domain") / "handoff_texts.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class LeadChanges:
    """What a hand-over changes of the lead; None and nothing leave it as it is."""

    responsible_user_id: int | None = None
    pipeline_id: int | None = None
    status_id: int | None = None
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != LeadChanges()


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """What a task asks for beside its text."""

    due_at: datetime
    priority: Priority
    responsible_user_id: int | None = None


Details = TaskDetails | LeadChanges | AlertDetails | ChannelMessage


def _shows_none(_link: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class HandoffRules:
    """What an account wants done when a person is called.

    Args:
        language: of the texts: `es`, `pt` or `en`.
        due_within: by when a person should answer, by priority.
        trace_url: template of a trace's address; empty when there is none.
        shows_link: whether people may be led to the link of a file.
    """

    has_note: bool
    has_task: bool
    language: str
    due_within: Mapping[Priority, timedelta]
    lead_changes: LeadChanges = LeadChanges()
    trace_url: str = ""
    shows_link: Callable[[str], bool] = _shows_none


@dataclass(frozen=True, slots=True)
class ClientWords:
    """A message of the client that a person is called for."""

    text: str
    content_type: str = "text"
    intent: str = ""
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What is stored about a conversation at the moment when a person is called.

    Args:
        words: the client's newest messages, the oldest first.
        last_reply: what the bot said last in this episode; empty when it said nothing.
        reason: why a person is called, for people; a code where the reply could not be delivered.
        is_undelivered: `last_reply` did not reach the client.
        turn_id: the turn that led here; empty when none did.
        reason_code: why in a code, such as `human_request`.
        client_language: `es`, `pt` or `en`; empty when it could not be told.
    """

    account_id: str
    conversation_id: str
    words: Sequence[ClientWords]
    last_reply: str
    reason: str
    priority: Priority
    is_undelivered: bool = False
    turn_id: str = ""
    reason_code: str = ""
    client_language: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """What is to be done in Kommo; absent parts are not wanted."""

    note: str = ""
    task: str = ""
    task_details: TaskDetails | None = None
    lead_changes: LeadChanges | None = None


NO_PACKAGE = Package()


def compose(situation: Situation, rules: HandoffRules, now: datetime) -> Package:
    """Return the package of a hand-over.

    Args:
        situation: what is stored.
        rules: what the account wants.
        now: when the person is called.
    """
    details = task_details(rules, situation.priority, now)
    return Package(
        note=note_text(situation, rules) if rules.has_note else "",
        task=task_text(situation, rules.language) if rules.has_task else "",
        task_details=details if rules.has_task else None,
        lead_changes=rules.lead_changes if rules.lead_changes else None,
    )


def task_details(rules: HandoffRules, priority: Priority, now: datetime) -> TaskDetails:
    """Return what a task asks for that is made now."""
    return TaskDetails(now + rules.due_within[priority], priority, rules.lead_changes.responsible_user_id)


def viewing_text(words: Sequence[ClientWords], language: str) -> str:
    """Return what asks a person to look at what messages carry, while the bot goes on."""
    media = [one.media or Media(one.content_type) for one in words]
    return viewing(media, " / ".join(one.text for one in words if one.text.strip()), _language(language))


def note_text(situation: Situation, rules: HandoffRules) -> str:
    """Return the note: five lines, whatever the client wrote."""
    lines = _TEXTS["lines"][_language(rules.language)]
    phrases = _TEXTS["phrases"][_language(rules.language)]
    minutes = rules.due_within[situation.priority] // timedelta(minutes=1)
    return "\n".join(
        (
            lines["wants"].format(
                intent=_intent(situation, rules.language), words=_quoted(situation, rules.language, MAX_WORDS)
            ),
            lines["tried"].format(reply=_tried(situation, phrases)),
            lines["open"].format(reason=_reason(situation, phrases)),
            lines["priority"].format(priority=_priority(situation, rules.language), minutes=minutes),
            lines["trace"].format(trace=_trace(situation, rules.trace_url, phrases)),
        )
    )


def task_text(situation: Situation, language: str) -> str:
    """Return the task's text, in one line."""
    return _task_line("task", situation, language)


def reminder_text(situation: Situation, language: str) -> str:
    """Return the text of the second task, for when nobody has come, in one line."""
    return _task_line("reminder", situation, language)


def _task_line(name: str, situation: Situation, language: str) -> str:
    phrases = _TEXTS["phrases"][_language(language)]
    words = _quoted(situation, language, MAX_TASK_WORDS)
    template: str = _TEXTS["lines"][_language(language)][name]
    return template.format(
        priority=_priority(situation, language),
        words=f": {words}" if words else "",
        reason=_reason(situation, phrases),
    )


def shortened(text: str, maximum: int) -> str:
    """Return a text in one line of at most `maximum` characters; what was cut off is shown."""
    line = _SPACES.sub(" ", text).strip()
    return line if len(line) <= maximum else line[: maximum - 1].rstrip() + "…"


def language_of(locale: str) -> str:
    """Return the language of the texts for a BCP 47 tag."""
    return _language(locale.split("-")[0].lower())


def _language(language: str) -> str:
    return language if language in LANGUAGES else FALLBACK_LANGUAGE


def _priority(situation: Situation, language: str) -> str:
    return str(_TEXTS["priorities"][_language(language)][situation.priority.value])


def _intent(situation: Situation, language: str) -> str:
    named = [one.intent for one in situation.words if one.intent]
    label = _TEXTS["intents"][_language(language)].get(named[-1], "") if named else ""
    return f"{label}: " if label else ""


def _quoted(situation: Situation, language: str, maximum: int) -> str:
    phrases: Mapping[str, str] = _TEXTS["phrases"][_language(language)]
    spoken = " / ".join(one.text for one in situation.words if one.text.strip())
    media = [one.media or Media(one.content_type) for one in situation.words if is_media(one.content_type, one.text)]
    sent = described(media, language)
    if not spoken:
        return phrases["no_words"].format(kind=sent) if sent else ""
    # The newest words tell most, so it is the beginning that is cut off.
    quoted = f"«{_tail(spoken, maximum)}»"
    return f"{quoted} + {sent}" if sent else quoted


def _tail(text: str, maximum: int) -> str:
    line = _SPACES.sub(" ", text).strip()
    return line if len(line) <= maximum else "…" + line[len(line) - maximum + 1 :].lstrip()


def _tried(situation: Situation, phrases: Mapping[str, str]) -> str:
    if not situation.last_reply.strip():
        return phrases["nothing_tried"]
    reply = f"«{shortened(situation.last_reply, MAX_REPLY)}»"
    return phrases["undelivered"].format(reply=reply) if situation.is_undelivered else reply


def _reason(situation: Situation, phrases: Mapping[str, str]) -> str:
    reason = shortened(situation.reason, MAX_REASON)
    if situation.is_undelivered:
        return phrases["undelivered_reason"].format(code=reason)
    return reason or phrases["no_reason"]


def trace_link(situation: Situation, trace_url: str) -> str:
    """Return the address of a trace; empty where the account names none, or only one of turns and there was none."""
    if not trace_url or ("{turn_id}" in trace_url and not situation.turn_id):
        return ""
    return shortened(trace_url.format(**_names(situation)), MAX_LINK)


def _trace(situation: Situation, trace_url: str, phrases: Mapping[str, str]) -> str:
    words = phrases["trace" if situation.turn_id else "no_trace"]
    return trace_link(situation, trace_url) or words.format(**_names(situation))


def _names(situation: Situation) -> dict[str, str]:
    return {
        "account_id": situation.account_id,
        "conversation_id": situation.conversation_id,
        "turn_id": situation.turn_id,
    }
