"""The business profile: who speaks, when somebody is there, and the fixed texts in the client's language."""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kommomesh_runtime.business_hours import WEEKDAYS, BusinessHours
from kommomesh_runtime.openings import with_opening

LANGUAGES = ("es", "pt", "en")
VOSEO_COUNTRIES = ("AR", "UY", "PY")


class ProfileError(Exception):
    """A file of a business profile cannot be used.

    Args:
        file: the file.
        field: where in it; empty when it cannot be read at all.
        problem: what is wrong, and what would be right.
        line: line of the field, counted from 1; None when unknown.
    """

    def __init__(self, file: Path, field: str, problem: str, line: int | None = None) -> None:
        place = f"{file}:{line}" if line else str(file)
        super().__init__(f"{place}: {field}: {problem}" if field else f"{place}: {problem}")
        self.file, self.field, self.problem, self.line = file, field, problem, line


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpeningHours(_Frozen):
    """One span of a day in which somebody is there."""

    opens: time
    closes: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("closes must come after opens")
        return self


class Limits(_Frozen):
    """Limits of what the bot says."""

    max_parts: int = Field(default=4, ge=1, le=10)
    max_part_characters: int = Field(default=1000, ge=100, le=4096)
    max_installments: int = Field(default=0, ge=0, le=60)
    max_discount_percent: int = Field(default=0, ge=0, le=100)


class QuickResponse(_Frozen):
    """A fixed answer of the business for a phrase."""

    when: tuple[str, ...] = Field(min_length=1)
    say: str = Field(min_length=1, max_length=1000)


class BusinessProfile(_Frozen):
    """What `business.toml` says."""

    name: str = Field(min_length=1, max_length=200)
    about: str = ""
    voice: str = ""
    country: str = "AR"
    locale: str = "es-AR"
    currency: str = Field(default="ARS", pattern="^[A-Z]{3}$")
    timezone: str = "America/Argentina/Buenos_Aires"
    website: str = ""
    address: str = ""
    shipping: str = ""
    payments: str = ""
    escalate_on: tuple[str, ...] = ()
    hours: Mapping[str, tuple[OpeningHours, ...]] = Field(default_factory=dict)
    limits: Limits = Limits()
    quick_responses: tuple[QuickResponse, ...] = ()
    texts: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)

    @field_validator("hours")
    @classmethod
    def _known_days(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        unknown = [day for day in value if day not in WEEKDAYS]
        if unknown:
            raise ValueError(f"unknown day {unknown[0]!r}; days are {', '.join(WEEKDAYS)}")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown time zone {value!r}") from None
        return value

    @property
    def language(self) -> Literal["es", "pt", "en"]:
        """Language of the business: the first part of its locale where there are texts in it, else Spanish."""
        first = self.locale.split("-")[0].lower()
        return first if first in LANGUAGES else "es"  # type: ignore[return-value]

    @property
    def says_vos(self) -> bool:
        """Whether the fixed Spanish texts may say vos, as their built-in form does."""
        return _says_vos(self.locale)

    @property
    def business_hours(self) -> BusinessHours:
        """When somebody is there."""
        spans = {day: [(span.opens, span.closes) for span in day_spans] for day, day_spans in self.hours.items()}
        return BusinessHours(self.timezone, spans)

    def is_open(self, at: datetime) -> bool:
        """Tell whether somebody is there; a business without hours is always open.

        Args:
            at: an aware time.
        """
        return self.business_hours.is_open(at)

    def text_at(self, key: str, at: datetime, language: str = "") -> str:
        """Return a fixed text as `text` does, for a time: `KEY_closed` while nobody is there, with the next opening.

        Args:
            key: name of the text for opening hours.
            at: the aware time at which the client reads it.
            language: the client's, where it is known.

        Raises:
            KeyError: there is no text of that name.
        """
        hours = self.business_hours
        spoken = language if language in LANGUAGES else self.language
        return with_opening(self.text(key if hours.is_open(at) else f"{key}_closed", language), hours, at, spoken)

    def text(self, key: str, language: str = "") -> str:
        """Return a fixed text in `language`, else in the business's own.

        Raises:
            KeyError: there is no text of that name.
        """
        by_language = self.texts[key]
        chosen = language if language in by_language else self.language
        return by_language.get(chosen) or by_language["es"]


def _default_texts() -> dict[str, dict[str, str]]:
    data = (files("kommomesh_runtime") / "data" / "texts.toml").read_text(encoding="utf-8")
    return tomllib.loads(data)


def line_of(source: str, field: str) -> int | None:
    """Return the line of the last named part of a dotted field in a TOML text, as well as it can be told."""
    names = [part for part in field.split(".") if not part.isdigit()]
    if not names:
        return None
    pattern = re.compile(rf"^\s*\[*\s*(?:[\w.\"-]+\.)?\"?{re.escape(names[-1])}\"?\s*(=|\])")
    for number, line in enumerate(source.splitlines(), 1):
        if pattern.match(line):
            return number
    return None


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the data and the source of a TOML file.

    Raises:
        ProfileError: it cannot be read, or is not TOML.
    """
    try:
        source = path.read_text(encoding="utf-8")
        return tomllib.loads(source), source
    except OSError as error:
        raise ProfileError(path, "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProfileError(path, "", "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise ProfileError(path, "", str(error), int(found[1]) if found else None) from None


def first_problem(path: Path, source: str, error: ValidationError) -> ProfileError:
    """Return the first problem of a validation with file, line and field."""
    problem = error.errors()[0]
    field = ".".join(str(part) for part in problem["loc"])
    return ProfileError(path, field, problem["msg"], line_of(source, field))


def _in_register(texts: Mapping[str, str], *, says_vos: bool) -> dict[str, str]:
    """Return the languages of a built-in text, its Spanish as the business's clients are spoken to."""
    plain = {language: text for language, text in texts.items() if "_" not in language}
    return plain if says_vos else {**plain, "es": texts.get("es_neutral", plain["es"])}


def _says_vos(locale: str) -> bool:
    return locale.upper().rpartition("-")[2] in VOSEO_COUNTRIES


def _merged_texts(own: Any, locale: str) -> dict[str, dict[str, str]]:
    says_vos = _says_vos(locale)
    merged = {key: _in_register(texts, says_vos=says_vos) for key, texts in _default_texts().items()}
    for key, by_language in own.items() if isinstance(own, dict) else ():
        merged[key] = {**merged.get(key, {}), **by_language} if isinstance(by_language, dict) else by_language
    return merged


def example_profile_dir() -> Path:
    """Return the directory of the example business, which is the local default."""
    return Path(str(files("kommomesh_runtime") / "example_business"))


def load_profile(directory: Path | None) -> BusinessProfile:
    """Return the profile of a directory; None means the example business.

    Raises:
        ProfileError: `business.toml` is missing or wrong.
    """
    path = (directory or example_profile_dir()) / "business.toml"
    data, source = read_toml(path)
    data["texts"] = _merged_texts(data.get("texts", {}), str(data.get("locale", "es-AR")))
    try:
        return BusinessProfile.model_validate(data)
    except ValidationError as error:
        raise first_problem(path, source, error) from None
