"""The guide's JSON and Chats API bodies: odd and hostile shapes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.json_bodies import read_json
from gateway.domain.chats_events import ChannelIdentity, read_chats_events
from gateway.domain.events import AuthorKind, CompanyMessage, ContentType, EventsError
from gateway.domain.guide_events import account_id_of, read_guide_events

IDENTITY = ChannelIdentity.of("code", ["Person-1"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "chat_id", "message", "add", "author", "type", "action", "conversation", "sender"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def guide(**fields):
    item = {"id": "m1", "chat_id": "c1", "text": "hola", **fields}
    return read_guide_events(read_json(json.dumps({"account": {"id": 5}, "message": {"add": [item]}}).encode()))


def chats(message=None, **outer):
    inner = {"id": "m1", "type": "text", "text": "hola", **(message or {})}
    return {"message": {"conversation": {"id": "c1"}, "sender": {"id": "x"}, "message": inner, **outer}}


@pytest.mark.parametrize(
    ("author", "kind"),
    [
        ({"type": "contact"}, None),
        ({"type": "external"}, None),
        ({}, None),
        (None, None),
        ("name", None),
        ({"type": "user"}, AuthorKind.PERSON),
        ({"type": "internal"}, AuthorKind.PERSON),
        ({"type": "bot"}, AuthorKind.BOT),
        ({"type": ["x"]}, None),
        ({"type": "martian"}, AuthorKind.BOT),
    ],
)
def test_given_author_when_guide_is_read_then_client_or_company(author, kind):
    (event,) = guide(author=author).events

    assert (event.author_kind if isinstance(event, CompanyMessage) else None) == kind


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": None}, ""),
        ({"text": 12}, "12"),
        ({"text": True}, "1"),
        ({"text": 1.5}, "1.5"),
        ({"text": ["a"]}, ""),
        ({"text": "a\0b"}, "ab"),
        ({"text": 10**300}, ""),
    ],
)
def test_given_odd_text_when_guide_is_read_then_text(fields, text):
    assert guide(**fields).events[0].content.text == text


def test_given_numbers_as_ids_when_guide_is_read_then_texts():
    (event,) = guide(id=9007199254740993, contact_id=999, created_at=1735520000.0).events

    assert (event.content.message_id, event.chat.contact_id) == ("9007199254740993", "999")
    assert event.content.written_at.timestamp() == 1735520000


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        ({"message": {"update": [{"id": 1}]}}, {"message_change": 1}),
        ({"message": {"add": [{"id": 1}, {"chat_id": 2}]}}, {"missing_chat_id": 1, "missing_message_id": 1}),
        ({"chat": {"message": []}}, {"unknown_event": 1}),
        ({"message": []}, {}),
        ({"message": {"add": "x"}}, {"malformed_item": 1}),
        ({"message": {"add": ["x", 1, None]}}, {"malformed_item": 3}),
        ({"message": "x"}, {"unknown_event": 1}),
    ],
)
def test_given_guide_without_message_when_read_then_counted(body, ignored):
    intake = read_guide_events(body)

    assert (intake.events, dict(intake.ignored)) == ([], ignored)


@pytest.mark.parametrize("body", [{}, {"account": 3}, {"account": {"id": None}}, {"account": {"id": {}}}])
def test_given_no_account_when_asked_then_empty(body):
    assert account_id_of(body) == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"nul", "not_json"),
        (b"NaN", "not_json"),
        (b"[]", "not_an_object"),
        (b"3", "not_an_object"),
        (b"[" * 10_000, "too_deep"),
        (b'{"a":' * 10_000, "too_deep"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "too_deep"),
        (b'{"a":1e999}', "not_json"),
    ],
)
def test_given_bad_json_when_read_then_typed_error(body, code):
    with pytest.raises(EventsError) as caught:
        read_json(body)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"a":"ya \ud83d"}', "ya �"),
        (rb'{"a":"\uDE00 ya"}', "� ya"),
        (rb'{"a":"\ud83d\ude00 \ud83d\ud83d\ude00"}', "😀 �😀"),
        (b'{"a":"\\ud83d \xff"}', "� �"),
        (b'{"a":"\xff \\ud83d"}', "� �"),
    ],
)
def test_given_emoji_cut_in_half_when_read_then_replaced(body, text):
    assert read_json(body) == {"a": text}


def test_given_invalid_utf8_and_mark_when_read_then_replaced():
    assert read_json(b'\xef\xbb\xbf{"a":"\xff"}') == {"a": "�"}


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        ({}, {"unknown_event": 1}),
        ({"chat": {"message": [{}]}}, {"unknown_event": 1}),
        ({"message": {}}, {"missing_message_id": 1}),
        ({"message": {"message": {"id": "m"}}}, {"missing_chat_id": 1}),
        ({"message": {"message": [], "conversation": "x"}}, {"missing_message_id": 1}),
        ({"action": {"typing": {}, "reaction": {}}}, {"typing": 1, "reaction": 1}),
        ({"action": {"dance": {}}}, {"unknown_event": 1}),
        ({"action": []}, {"unknown_event": 1}),
        ({"action": ["typing"], "message": 5}, {"malformed_item": 2}),
        ({"receiver": "x", "conversation_id": "y", "type": "text"}, {"dead_hook_version": 1}),
    ],
)
def test_given_chats_body_without_message_when_read_then_counted(body, ignored):
    intake = read_chats_events(body, IDENTITY)

    assert (intake.events, dict(intake.ignored)) == ([], ignored)


@pytest.mark.parametrize(("sender", "kind"), [("person-1", AuthorKind.PERSON), (None, AuthorKind.BOT)])
def test_given_sender_when_chats_is_read_then_known_user_is_a_person(sender, kind):
    (event,) = read_chats_events(chats(sender={"id": sender}), IDENTITY).events

    assert event.author_kind == kind


def test_given_media_group_when_chats_is_read_then_each_hook_is_a_message_of_its_own():
    parts = [chats({"id": name, "type": "picture", "media": "u", "media_group_id": "g"}) for name in ("a", "b")]
    events = [event for part in parts for event in read_chats_events(part, IDENTITY).events]

    assert [event.content.message_id for event in events] == ["a", "b"]
    assert {event.content.content_type for event in events} == {ContentType.PICTURE}


@given(VALUES)
def test_given_any_json_when_read_then_events_or_typed_error(value):
    body = value if isinstance(value, dict) else {"message": value, "action": value}
    try:
        found = read_json(json.dumps(body).encode())
        events = [*read_guide_events(found).events, *read_chats_events(found, IDENTITY).events]
    except EventsError:
        return
    assert all(event.chat.chat_id for event in events)


@given(st.binary(max_size=200))
def test_given_any_bytes_when_read_as_json_then_object_or_typed_error(body):
    try:
        read_json(body)
    except EventsError:
        return
