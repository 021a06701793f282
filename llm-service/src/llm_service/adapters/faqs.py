"""The questions that a business answers, from `faqs.toml`."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kommomesh_runtime.profile import ProfileError, read_toml
from llm_service.domain.values import Faq

FAQS_FILE = "faqs.toml"
_TABLE = re.compile(r"^\s*\[\[\s*faq\s*\]\]")


class _FaqEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=100)
    question: str = Field(min_length=1, max_length=500)
    alternatives: tuple[str, ...] = ()
    answer: str = Field(min_length=1, max_length=2000)
    language: str = Field(default="", pattern="^([a-z]{2})?$")


def _table_lines(source: str) -> list[int]:
    return [number for number, line in enumerate(source.splitlines(), 1) if _TABLE.match(line)]


def _field_line(source: str, start: int, field: str) -> int:
    lines = source.splitlines()[start:]
    for offset, line in enumerate(lines, 1):
        if _TABLE.match(line):
            break
        if line.split("=")[0].strip() == field:
            return start + offset
    return start


def _faq(path: Path, source: str, start: int, entry: Any, language: str) -> Faq:
    try:
        faq = _FaqEntry.model_validate(entry)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "faq"
        raise ProfileError(path, field, problem["msg"], _field_line(source, start, field.split(".")[0])) from None
    return Faq(faq.id, faq.question, faq.alternatives, faq.answer, faq.language or language)


def load_faqs(directory: Path, language: str) -> tuple[Faq, ...]:
    """Return the FAQs of a profile directory; none where it has no `faqs.toml`.

    Args:
        directory: the profile's directory.
        language: ISO 639-1 code for entries that name none.

    Raises:
        ProfileError: an entry is wrong; it names file, line and field.
    """
    path = directory / FAQS_FILE
    if not path.exists():
        return ()
    data, source = read_toml(path)
    entries = data.get("faq", [])
    unknown = [key for key in data if key != "faq"]
    if unknown or not isinstance(entries, list):
        raise ProfileError(path, unknown[0] if unknown else "faq", "entries begin with [[faq]]", 1)
    starts = _table_lines(source)
    found: dict[str, Faq] = {}
    for number, entry in enumerate(entries):
        start = starts[number] if number < len(starts) else 1
        faq = _faq(path, source, start, entry, language)
        if faq.id in found:
            raise ProfileError(path, "id", f"{faq.id} is named twice", _field_line(source, start, "id"))
        found[faq.id] = faq
    return tuple(found.values())
