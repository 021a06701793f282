"""Turns decoded JSON into the texts and trees that forms have."""

from typing import Any

from gateway.domain.forms import Tree

MAX_NUMBER_BITS = 192


def text_of(value: Any) -> str:
    """Return a JSON scalar as the text that Kommo's forms would carry: empty for null and for containers.

    NUL and lone surrogates, which databases and protobuf refuse, are removed.
    """
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, int | float):
        return _number_text(value)
    return ""


def _number_text(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
        return ""
    return str(value)


def tree_of(value: Any) -> Tree:
    """Return a JSON object or list as a tree of texts; anything else is an empty tree.

    Args:
        value: a value of bounded depth.
    """
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        return {}
    return {
        text_of(name): tree_of(inner) if isinstance(inner, dict | list) else text_of(inner)
        for name, inner in value.items()
    }
