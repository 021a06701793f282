"""What a burst is, as the other services want it."""

from gateway.worker import burst
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1.conversation_pb2 import Message


def message(content="", kind=common.CONTENT_TYPE_TEXT, role=common.ROLE_USER):
    return Message(content=content, content_type=kind, role=role)


def test_given_caption_when_read_then_it_counts_as_words():
    messages = [message(" hola "), message("\n"), message("¿este?", common.CONTENT_TYPE_PICTURE)]
    assert burst.text_of(messages) == "hola\n¿este?"


def test_given_history_when_turned_into_chat_then_media_kept_and_empty_lines_left_out():
    messages = [
        message("hola"),
        message(""),
        message("", common.CONTENT_TYPE_PICTURE),
        message("te ayudo", role=common.ROLE_AGENT),
    ]
    messages[0].create_time.FromSeconds(1_735_520_000)
    chat = burst.chat_messages(messages)
    assert [(m.role, m.text, m.content_type) for m in chat] == [
        (common.ROLE_USER, "hola", common.CONTENT_TYPE_TEXT),
        (common.ROLE_USER, "", common.CONTENT_TYPE_PICTURE),
        (common.ROLE_AGENT, "te ayudo", common.CONTENT_TYPE_TEXT),
    ]
    assert chat[0].create_time.seconds == 1_735_520_000
    assert not chat[1].HasField("create_time")
