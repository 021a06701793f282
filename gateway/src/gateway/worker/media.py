"""What becomes of what a client sends beside words: the table, and what it says of a burst."""

import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Literal

import msgspec

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1.conversation_pb2 import Message

SPOKEN = (common.CONTENT_TYPE_VOICE, common.CONTENT_TYPE_AUDIO)
WRITTEN = (common.CONTENT_TYPE_UNSPECIFIED, common.CONTENT_TYPE_TEXT)
KINDS: Mapping[int, str] = {
    common.CONTENT_TYPE_PICTURE: "picture",
    common.CONTENT_TYPE_VIDEO: "video",
    common.CONTENT_TYPE_FILE: "file",
    common.CONTENT_TYPE_VOICE: "voice",
    common.CONTENT_TYPE_AUDIO: "audio",
    common.CONTENT_TYPE_LOCATION: "location",
    common.CONTENT_TYPE_CONTACT: "contact",
    common.CONTENT_TYPE_STICKER: "sticker",
}
OTHER = "other"
NOTHING = "nothing"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the table; see `media_rules.toml`."""

    text: str
    alone: Literal["hand_over", "ask", "ask_and_show"]
    again: Literal["hand_over", "silence"]
    again_since: Literal["words", "episode"]
    beside: Literal["show", "tell", "pass"]


def _rules() -> Mapping[str, Rule]:
    data = tomllib.loads((files("gateway.worker") / "media_rules.toml").read_text(encoding="utf-8"))
    return msgspec.convert(data, dict[str, Rule])


RULES = _rules()


@dataclass(frozen=True, slots=True)
class MediaReading:
    """What a file says, in words; empty where nobody can tell."""

    words: str = ""


NOT_READ = MediaReading()
# Where transcription and vision plug in: from a message with a file to what the file says.
MediaReader = Callable[[Message], Awaitable[MediaReading]]


async def not_read(_message: Message) -> MediaReading:
    """Return that nobody can tell what a file says: the mesh neither hears nor sees yet."""
    return NOT_READ


@dataclass(frozen=True, slots=True)
class ReadBurst:
    """A burst after its files were read as far as that is possible.

    Args:
        messages: all of it; what a file says stands among the words.
        unread: those of them that carry something that nobody read.
    """

    messages: tuple[Message, ...]
    unread: tuple[Message, ...]


class Act(StrEnum):
    """What a burst without words ends with."""

    ASK = "ask"
    HAND_OVER = "hand_over"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Alone:
    """What becomes of a burst without words.

    Args:
        text: name of the fixed text, and of the reason.
        shown: ids of messages that a person is asked to look at.
        is_said: whether the client reads the fixed text; not the one that asked before, when a person is called.
    """

    act: Act
    text: str
    shown: tuple[str, ...] = ()
    is_said: bool = True


@dataclass(frozen=True, slots=True)
class Beside:
    """What becomes of files beside words that are answered.

    Args:
        told: names of fixed texts that follow the answer.
        shown: ids of messages that a person is asked to look at.
    """

    told: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


NOTHING_BESIDE = Beside()


def kind_of(message: Message) -> str:
    """Return what a message carries beside words: a row of the table, or empty for words alone."""
    kind = KINDS.get(message.content_type)
    if kind is not None:
        return kind
    has_file = bool(message.media_url) or (message.content_type not in WRITTEN and bool(message.file_name))
    if message.content.strip() and not has_file:
        return ""
    return OTHER if has_file else NOTHING


def is_unread(message: Message) -> bool:
    """Tell whether a message carries something beside its words; words of a voice note are what it says."""
    return bool(kind_of(message)) and not (message.content_type in SPOKEN and bool(message.content.strip()))


async def read_burst(messages: Iterable[Message], read: MediaReader) -> ReadBurst:
    """Return a burst with what its files say.

    Args:
        messages: the burst.
        read: says what a file says.
    """
    found, unread = [], []
    for message in messages:
        words = (await read(message)).words.strip() if is_unread(message) else ""
        said = Message()
        said.CopyFrom(message)
        if words:
            said.content = "\n".join(part for part in (message.content.strip(), words) if part)
        elif is_unread(message):
            unread.append(said)
        found.append(said)
    return ReadBurst(tuple(found), tuple(unread))


def alone(unread: Sequence[Message], history: Sequence[Message]) -> Alone:
    """Return what becomes of a burst without words.

    Args:
        unread: its messages, at least one.
        history: what was said before, the oldest first.
    """
    rules = _in_order(unread)
    acts = {rule.text: rule.again if came_before(rule, history) else rule.alone for rule in rules}
    for rule in rules:
        if acts[rule.text] == "hand_over":
            return Alone(Act.HAND_OVER, rule.text, is_said=rule.alone == "hand_over")
    shown = tuple(one.id for one in unread if acts[_rule_of(one).text] == "ask_and_show")
    for rule in rules:
        if acts[rule.text] != "silence":
            return Alone(Act.ASK, rule.text, shown)
    return Alone(Act.SILENCE, rules[0].text)


def beside(unread: Sequence[Message], history: Sequence[Message]) -> Beside:
    """Return what becomes of the files of a burst whose words are answered; arguments as of `alone`."""
    told: dict[str, None] = {}
    shown = []
    for message in unread:
        rule = _rule_of(message)
        is_told = rule.beside == "tell" and not came_before(rule, history)
        if is_told:
            told[rule.text] = None
        elif rule.beside != "pass":
            shown.append(message.id)
            told["media_shown"] = None
    return Beside(tuple(told), tuple(shown))


def came_before(rule: Rule, history: Sequence[Message]) -> bool:
    """Tell whether the client sent the same before without words, as far back as the rule looks."""
    for message in reversed(history):
        if message.role == common.ROLE_AGENT:
            return False
        if message.role != common.ROLE_USER:
            continue
        if message.content.strip():
            if rule.again_since == "words":
                return False
        elif _rule_of(message).text == rule.text:
            return True
    return False


def _rule_of(message: Message) -> Rule:
    return RULES[kind_of(message)]


def _in_order(messages: Sequence[Message]) -> list[Rule]:
    kinds = {kind_of(message) for message in messages}
    return [rule for kind, rule in RULES.items() if kind in kinds]
