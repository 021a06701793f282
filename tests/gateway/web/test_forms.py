"""The form parser: what it reads, what it leaves out, and that nothing makes it fail otherwise."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.crm_events import read_crm_events
from gateway.domain.events import EventsError
from gateway.domain.forms import FormError, FormLimits, ordered_items, parse_form

NAMES = st.text(st.characters(blacklist_characters="[]\0", blacklist_categories=["Cs"]), min_size=1, max_size=12)
FRAGMENTS = st.sampled_from(
    b"message add [ ] [0] %5B %5D = & % %0 %00 \xff id chat_id [-1] [99999999999999999999] [] + account talk"
    b" author type \xc3\xa1 1".split()
)


def test_given_encoded_keys_when_parsed_then_nested():
    form = parse_form(b"message%5Badd%5D%5B0%5D%5Btext%5D=hola+%C2%BFqu%C3%A9%3F&account[id]=7")

    assert form.tree == {"message": {"add": {"0": {"text": "hola ¿qué?"}}}, "account": {"id": "7"}}


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        (b"a=1&a=2", {"a": "2"}),
        (b"a=1&a[b]=2", {"a": {"b": "2"}}),
        (b"a[b]=2&a=1", {"a": {"b": "2"}}),
        (b"a", {"a": ""}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=%zz%4", {"a": "%zz%4"}),
        (b"a=\xff\xfe", {"a": "��"}),
        (b"a=%ff%00x", {"a": "�x"}),
        (b"a=x\x00y", {"a": "xy"}),
        (b"&&a=1&&", {"a": "1"}),
        (b"a=1\r\n", {"a": "1"}),
        (b"a[ b ][c.d]=1", {"a": {" b ": {"c.d": "1"}}}),
        (b"\xc3\xa1[\xc3\xb1]=1", {"á": {"ñ": "1"}}),
    ],
)
def test_given_odd_form_when_parsed_then_tolerated(body, tree):
    assert parse_form(body).tree == tree


@pytest.mark.parametrize(
    "key", [b"a[", b"a]", b"a[b", b"a[b]c", b"a[b]c]", b"[a]", b"]a[", b"a[[b]]", b"a[b][", b"%5B"]
)
def test_given_key_outside_grammar_when_parsed_then_left_out_and_counted(key):
    form = parse_form(b"ok=1&" + key + b"=2")

    assert (form.tree, form.left_out) == ({"ok": "1"}, 1)


def test_given_appended_items_when_ordered_then_after_the_numbered_ones():
    form = parse_form(b"a[][x]=3&a[2][x]=2&a[][x]=4&a[-1][x]=1&a[name][x]=5")

    assert [item["x"] for item in ordered_items(form.tree["a"])] == ["1", "2", "3", "4", "5"]


def test_given_sparse_huge_indexes_when_ordered_then_by_number():
    huge = b"9" * 400
    form = parse_form(b"a[10][x]=c&a[9][x]=b&a[007][x]=a&a[999999999999999999][x]=d&a[" + huge + b"][x]=e&a[7]=no")

    assert [item["x"] for item in ordered_items(form.tree["a"])] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("body", "code", "is_too_large"),
    [
        (b"", "not_a_form", False),
        (b"&&&", "not_a_form", False),
        (b"=1", "not_a_form", False),
        (b"[]=1", "not_a_form", False),
        (b"&".join(b"a=1" for _ in range(11)), "too_many_pairs", True),
        (b"a" * 65 + b"=1", "key_too_long", False),
        (b"a[b][c][d]=1", "key_too_deep", False),
    ],
)
def test_given_form_beyond_limits_when_parsed_then_typed_error(body, code, is_too_large):
    with pytest.raises(FormError) as caught:
        parse_form(body, FormLimits(pairs=10, key_bytes=64, depth=3))

    assert (caught.value.code, caught.value.is_too_large) == (code, is_too_large)


@given(st.dictionaries(NAMES, st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))))
def test_given_any_texts_when_sent_under_a_key_then_read_back(values):
    body = urlencode({f"m[{name}]": text for name, text in values.items()}).encode()
    if values:
        assert parse_form(body).tree == {"m": values}


@given(st.binary(max_size=400))
def test_given_any_bytes_when_parsed_then_tree_or_typed_error(body):
    try:
        read_crm_events(parse_form(body))
    except (FormError, EventsError):
        return


@given(st.lists(FRAGMENTS, max_size=60))
def test_given_hostile_fragments_when_read_then_events_are_whole_or_typed_error(fragments):
    try:
        intake = read_crm_events(parse_form(b"".join(fragments)))
    except (FormError, EventsError):
        return
    for event in intake.events:
        assert event.chat.chat_id
        assert "\0" not in repr(event)


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=20, unique=True))
def test_given_any_indexes_when_read_then_events_in_numeric_order(indexes):
    pairs = [(f"message[add][{index}][{name}]", str(index)) for index in indexes for name in ("id", "chat_id")]
    intake = read_crm_events(parse_form("&".join(f"{quote(key)}={value}" for key, value in pairs).encode()))

    assert [int(event.chat.chat_id) for event in intake.events] == sorted(indexes)
