"""Hypothesis strategies for bodies that a webhook may bring: recorded ones that were damaged, and hostile ones."""

import json
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[1] / "fixtures"
LARGEST = 1_000_000
FORM_WORDS = (
    b"message add outgoing_message talk unsorted leads account update [ ] [0] [-1] [] %5B %5D %5B0%5D = & % %0 %00 %zz "
    b"\xff \xc3 %C3%AD %ED%A0%80 id chat_id text created_at author type attachment link origin + ; 31874205 "
    b"[99999999999999999999] internal external incoming 1788264000"
)
JSON_WORDS = (
    b'{ } [ ] , : " \\ \\u \\ud83d \\udc00 \\u0000 null true NaN -Infinity 1e999 -0 0.1 1e-7 "id" "chat_id" "message" '
    b'"add" "account" "action" "text" "author" "type" "created_at" "conversation" "token" "return_url" 31874205 \xff'
)
FIELDS = (
    "id chat_id text author type name account message add conversation sender receiver timestamp action typing "
    "reaction attachment link message_type entity_type entity_id talk_id origin token return_url data"
)
FORM_PARTS = [*FORM_WORDS.split(), b"\0", b"\r\n", b" "]
JSON_PARTS = [*JSON_WORDS.split(), b"\xef\xbb\xbf", b"\0"]
NAMES = st.sampled_from(FIELDS.split())
# What each limit is there for.
FORM_BOMBS = [
    b"a" + b"[x]" * 300_000 + b"=1",
    b"a[" * 400_000,
    b"account[id]=31874205" + b"&a[b]=1" * 9_990,
    b"account[id]=31874205"
    + b"".join(b"&message[add][%d][id]=%d&message[add][%d][chat_id]=c" % (n, n, n) for n in range(600)),
    b"account[id]=31874205&message[add][0][id]=a&message[add][0][chat_id]=c&message[add][0][text]="
    + b"%F0%9F" * 150_000,
    b"&" * 900_000,
    b"%" * 900_000,
]
JSON_BOMBS = [
    b'{"a":' * 190_000,
    b"[" * 900_000,
    b'{"account":{"id":"31874205"},"message":{"add":[{"id":"a","chat_id":"c","x":[' + b"0," * 450_000 + b"0]}]}}",
    b'{"account":{"id":"31874205"},"message":{"add":[' + b"{}," * 300_000 + b"{}]}}",
    b'{"account":{"id":"31874205"},"message":{"add":[{"id":"a","chat_id":"c"}'
    + b',{"id":"a","chat_id":"c"}' * 600
    + b"]}}",
    b'{"account":{"id":"31874205"},"x":"' + b"\\ud83d" * 150_000 + b'"}',
    b'{"account":{"id":' + b"9" * 900_000 + b"}}",
    b'{"account":{"id":"31874205"},"x":' + b"[" * 31 + b"]" * 31 + b"}",
]


def _recorded(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((FIXTURES / "kommo").glob(pattern))]


def _tables(name: str) -> list[bytes]:
    shapes = tomllib.loads((FIXTURES / "intake" / name).read_text("utf-8"))["shape"]
    return [shape["body"].encode() for shape in shapes if "body" in shape]


FORMS = [*_recorded("crm_*.txt"), *_tables("forms.toml")]
JSONS = [*_recorded("chats_hook_*.json"), *_recorded("salesbot_widget*.json"), *_tables("json.toml")]


@st.composite
def damaged(draw: st.DrawFn, bodies: list[bytes], parts: list[bytes]) -> bytes:
    """Give a recorded body in which pieces were cut out, put in, turned around or repeated."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        to = min(len(body), at + draw(st.integers(0, 40)))
        piece = body[at:to]
        body = draw(
            st.sampled_from(
                [
                    body[:at] + body[to:],
                    body[:at] + draw(st.sampled_from(parts)) + body[at:],
                    body[:at] + draw(st.binary(max_size=8)) + body[to:],
                    body[:to] + piece * draw(st.integers(1, 50)) + body[to:],
                    body[:at] + piece[::-1] + body[to:],
                    body + b"&" + body,
                ]
            )
        )
    return body[:LARGEST]


@st.composite
def bombs(draw: st.DrawFn, parts: list[bytes]) -> bytes:
    """Give a few pieces, each repeated up to what a body may hold."""
    body = b""
    for _ in range(draw(st.integers(1, 4))):
        piece = b"".join(draw(st.lists(st.sampled_from(parts), min_size=1, max_size=4)))
        times = draw(st.sampled_from([1, 3, 33, 500, 9_999, 60_000]))
        body += piece * min(times, 1 + LARGEST // 4 // len(piece))
    return body[:LARGEST]


def _scrambled(parts: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(parts), max_size=80).map(b"".join)


@st.composite
def built_form(draw: st.DrawFn) -> bytes:
    """Give a form of the usual kinds with values and indexes of any sort."""
    indexes = st.integers(-3, 10**20).map(str) | st.sampled_from(["0", "1", "00", "", "x", "٣"])
    kinds = st.sampled_from(
        ["message[add]", "outgoing_message[add]", "talk[update]", "add", "message", "unsorted[add]"]
    )
    pairs = ["account[id]=31874205"]
    for _ in range(draw(st.integers(0, 25))):
        key = f"{draw(kinds)}[{draw(indexes)}][{draw(NAMES)}]"
        pairs.append(f"{key}={draw(st.text(st.characters(exclude_categories=['Cs']), max_size=30))}")
    return "&".join(pairs).encode()


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["31874205", 31874205, "m1", "c1", "external", "internal", "text", "voice", 1788264000, "17882640000"]
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=40,
)


@st.composite
def built_json(draw: st.DrawFn) -> bytes:
    """Give an object with the events of the guide, the Chats API or a Salesbot, and values of any sort."""
    item = st.dictionaries(NAMES, VALUES, max_size=8)
    body: dict[str, Any] = {"account": {"id": draw(st.sampled_from(["31874205", 31874205, 31874205.0]))}}
    body["message"] = draw(st.one_of(st.fixed_dictionaries({"add": st.lists(item, max_size=6) | item}), item, VALUES))
    body |= draw(st.dictionaries(NAMES, VALUES, max_size=4))
    return json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def _replaced(draw: st.DrawFn, value: Any) -> Any:
    """Return a value of which some part is another."""
    if isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: _replaced(draw, value[name])}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _replaced(draw, value[at]), *value[at + 1 :]]
    return draw(VALUES)


def _objects(bodies: list[bytes]) -> list[Any]:
    found = []
    for body in bodies:
        try:
            found.append(json.loads(body))
        except ValueError:
            continue
    return found


@st.composite
def reshaped(draw: st.DrawFn) -> bytes:
    """Give a recorded JSON body in which some values are others."""
    value = draw(st.sampled_from(OBJECTS))
    for _ in range(draw(st.integers(1, 4))):
        value = _replaced(draw, value)
    return json.dumps(value).encode()


OBJECTS = _objects(JSONS)
FORM_BODIES = st.one_of(
    damaged(FORMS, FORM_PARTS),
    built_form(),
    built_form(),
    _scrambled(FORM_PARTS),
    st.binary(max_size=500),
    bombs(FORM_PARTS),
    st.sampled_from(FORM_BOMBS),
)
JSON_BODIES = st.one_of(
    damaged(JSONS, JSON_PARTS),
    built_json(),
    reshaped(),
    reshaped(),
    _scrambled(JSON_PARTS),
    st.binary(max_size=200),
    bombs(JSON_PARTS),
    st.sampled_from(JSON_BOMBS),
)
