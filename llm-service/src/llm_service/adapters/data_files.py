"""The data files that ship with the service: words of the search, phrases, fixed texts."""

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from kommomesh_runtime.profile import ProfileError, read_toml
from llm_service.domain.lexicon import Lexicon, build_lexicon

SYNONYMS_FILE = "synonyms.toml"


@cache
def _shipped(name: str) -> str:
    return (files("llm_service") / "data" / name).read_text(encoding="utf-8")


def shipped_text(name: str) -> str:
    """Return a text file that ships with the service."""
    return _shipped(name)


def shipped_toml(name: str) -> dict[str, Any]:
    """Return a TOML file that ships with the service."""
    return tomllib.loads(_shipped(name))


def _own_synonyms(directory: Path) -> list[list[str]]:
    path = directory / SYNONYMS_FILE
    if not path.exists():
        return []
    groups = read_toml(path)[0].get("synonyms", [])
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and all(isinstance(word, str) for word in group) for group in groups
    ):
        raise ProfileError(path, "synonyms", "must be a list of lists of words")
    return groups


def load_lexicon(directory: Path | None = None) -> Lexicon:
    """Return the built-in words, with the synonyms that a business adds in `synonyms.toml`.

    Raises:
        ProfileError: that file is wrong.
    """
    data = shipped_toml("lexicon.toml")
    groups = [*data["synonyms"], *(_own_synonyms(directory) if directory else [])]
    return build_lexicon(data, groups)
