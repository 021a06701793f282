"""Parser of form bodies with PHP bracket keys, bounded in everything that a sender could make large."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

Tree: TypeAlias = dict[str, "str | Tree"]

KEY_CACHE_SIZE = 4_096
# Kommo's own keys are shorter; longer ones would make the cache large without ever being found in it.
CACHED_KEY_BYTES = 128
INDEX_DIGITS = 18
APPEND = ""


class FormError(Exception):
    """The body as a whole is refused.

    Args:
        code: what is wrong: `too_many_pairs`, `key_too_long`, `key_too_deep`, `not_a_form`.
        is_too_large: whether the body is beyond a limit of size rather than malformed.
    """

    def __init__(self, code: str, *, is_too_large: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_too_large = is_too_large


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What a form may hold: pairs in all, bytes of a raw key, names within a key."""

    pairs: int = 10_000
    key_bytes: int = 1_024
    depth: int = 10


@dataclass(slots=True)
class Form:
    """A parsed form: its tree of texts, and how many pairs are not in it.

    Attributes:
        tree: texts by their names.
        left_out: pairs whose key did not fit the grammar, and scalars that stood where a container is.
        overwritten: pairs whose key came again with another value.
    """

    tree: Tree = field(default_factory=dict)
    left_out: int = 0
    overwritten: int = 0


DEFAULT_LIMITS = FormLimits()


def decode_text(raw: bytes) -> str:
    """Return the text of a percent-encoded value; invalid UTF-8 is replaced, NUL (databases refuse it) removed."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    text = raw.decode("utf-8", "replace")
    return text.replace("\0", "") if "\0" in text else text


def _split_key(key: str) -> tuple[str, ...] | None:
    base, bracket, rest = key.partition("[")
    if not base or "]" in base:
        return None
    if not bracket:
        return (base,)
    if not rest.endswith("]"):
        return None
    names = rest[:-1].split("][")
    if any("[" in name or "]" in name for name in names):
        return None
    return (base, *names)


@lru_cache(maxsize=KEY_CACHE_SIZE)
def key_path(raw: bytes) -> tuple[str, ...] | None:
    """Return the names in a raw key such as `message%5Badd%5D%5B0%5D`; None when it does not fit the grammar.

    An empty name (`tags[]`) stands for the next free index. Kommo sends the same few keys again and again, so the
    last ones are remembered.

    Args:
        raw: the key as sent; the caller bounds its length.
    """
    return _split_key(decode_text(raw))


def _place(form: Form, path: tuple[str, ...], value: str, next_index: int) -> None:
    tree = form.tree
    for name in path[:-1]:
        inner = tree.setdefault(name if name != APPEND else str(next_index), {})
        if isinstance(inner, str):
            # A container under the name of a scalar: the scalar gives way, since containers carry the events.
            tree[name] = inner = {}
            form.left_out += 1
        tree = inner
    last = path[-1] if path[-1] != APPEND else str(next_index)
    known = tree.get(last)
    if isinstance(known, dict):
        form.left_out += 1
        return
    form.overwritten += known is not None and known != value
    tree[last] = value


def _checked_path(raw: bytes, limits: FormLimits) -> tuple[str, ...] | None:
    if len(raw) > limits.key_bytes:
        raise FormError("key_too_long")
    path = key_path(raw) if len(raw) <= CACHED_KEY_BYTES else _split_key(decode_text(raw))
    if path is not None and len(path) > limits.depth:
        raise FormError("key_too_deep")
    return path


def parse_form(body: bytes, limits: FormLimits = DEFAULT_LIMITS) -> Form:
    """Return the tree of a form body.

    Indexes are plain names of dictionaries, so their size costs nothing. Of a scalar and a container under one name
    the container stays; of repeated scalars the last. What gives way, and pairs whose key does not fit the grammar,
    is counted.

    Args:
        body: the raw body; the caller bounds its length.
        limits: what it may hold.

    Raises:
        FormError: it holds more than the limits allow, or no usable pair at all.
    """
    if body.count(b"&") >= limits.pairs:
        raise FormError("too_many_pairs", is_too_large=True)
    form = Form()
    for number, pair in enumerate(body.strip(b"\r\n").split(b"&")):
        if not pair:
            continue
        raw_key, _, raw_value = pair.partition(b"=")
        path = _checked_path(raw_key, limits)
        # Appended items get an index above every index that `ordered_items` reads as a number.
        if path is None:
            form.left_out += 1
        else:
            _place(form, path, decode_text(raw_value), 10**INDEX_DIGITS + number)
    if not form.tree:
        raise FormError("not_a_form")
    return form


def _index_of(name: str) -> tuple[int, int]:
    digits = name[1:] if name.startswith("-") else name
    if digits.isascii() and digits.isdigit() and len(digits) <= INDEX_DIGITS + 1:
        return (0, int(name))
    return (1, 0)


def ordered_items(node: "str | Tree | None") -> list[Tree]:
    """Return the containers under a node, ordered by numeric index; names that are no index come last, as sent.

    Args:
        node: what stands where a list is expected; anything but a container holds no items.
    """
    if not isinstance(node, dict):
        return []
    names = sorted(node, key=_index_of)
    return [item for name in names if isinstance(item := node[name], dict)]


def stray_count(node: "str | Tree | None") -> int:
    """Return how many texts stand where items are expected: under the node, or in its place."""
    if isinstance(node, dict):
        return sum(isinstance(item, str) for item in node.values())
    return 0 if node is None else 1


def child(tree: Tree, name: str) -> Tree:
    """Return the container under a name; empty when there is none."""
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def scalar(tree: Tree, name: str) -> str:
    """Return the text under a name; empty when there is none."""
    found = tree.get(name)
    return found if isinstance(found, str) else ""
