"""The client's messages that one turn answers, as the other services want them; pure."""

from collections.abc import Iterable

from gateway.worker.media import WRITTEN
from kommomesh.conversation.v1.conversation_pb2 import Message
from kommomesh.intent.v1.analysis_pb2 import Analysis, ScoredIntent
from kommomesh.intent.v1.intent_service_pb2 import AnalyzeMessageRequest, Utterance
from kommomesh.llm.v1.reply_service_pb2 import ChatMessage, ClassifyMessageRequest

MAX_TEXT_CHARACTERS = 4096


def text_of(messages: Iterable[Message]) -> str:
    """Return what the client wrote, captions included, joined by line feeds; empty when there are no words."""
    return "\n".join(text for message in messages if (text := message.content.strip()))


def analyze_request(
    messages: Iterable[Message], history: Iterable[Message], account_id: str, locale: str
) -> AnalyzeMessageRequest:
    """Return the request to analyse a burst; of a very long one its end, where the question usually is."""
    said = [Utterance(role=m.role, text=m.content) for m in history if m.content.strip()]
    text = text_of(messages)[-MAX_TEXT_CHARACTERS:]
    return AnalyzeMessageRequest(text=text, history=said, account_id=account_id, locale=locale)


def classify_request(
    messages: Iterable[Message], history: Iterable[Message], local: Analysis, account_id: str, locale: str
) -> ClassifyMessageRequest:
    """Return the request to ask a model what a burst wants; of a very long one its end, as `analyze_request`."""
    likeliest = ScoredIntent(intent=local.intent, confidence=local.confidence)
    return ClassifyMessageRequest(
        account_id=account_id,
        text=text_of(messages)[-MAX_TEXT_CHARACTERS:],
        history=chat_messages(history),
        candidates=[likeliest, *local.runners_up],
        locale=locale,
    )


def chat_messages(messages: Iterable[Message]) -> list[ChatMessage]:
    """Return messages as llm-service reads them; those that say nothing at all are left out."""
    return [_chat_message(m) for m in messages if m.content.strip() or m.content_type not in WRITTEN]


def _chat_message(message: Message) -> ChatMessage:
    chat = ChatMessage(role=message.role, text=message.content, content_type=message.content_type)
    if message.HasField("create_time"):
        chat.create_time.CopyFrom(message.create_time)
    return chat
