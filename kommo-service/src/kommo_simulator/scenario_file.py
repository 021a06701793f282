"""Scenario files: a dialogue to play and what to expect of it, read from TOML with errors that name the line."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from kommo_simulator.scenario_steps import VERBS, Seconds, Step

# Either way to write steps: tables of their own, or one to a line in an array.
_STEP_BEGINS = re.compile(r"\s*(\[\[\s*steps\s*\]\]|(steps\s*=\s*\[\s*)?\{)")
_PATH = re.compile(r"`\$(?P<path>[^`]*)`")


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the client is, in every chat of the scenario."""

    name: str = "Cliente de prueba"
    origin: str = "waba"
    phone: str = ""
    lead: bool = True


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario file but for the meaning of its steps."""

    title: str
    steps: list[dict[str, Any]]
    description: str = ""
    within_seconds: Seconds = 30.0
    client: Client = Client()


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """A step and the line where it begins."""

    verb: str
    step: Step
    line: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """A valid scenario."""

    name: str
    title: str
    description: str
    within_seconds: float
    client: Client
    steps: tuple[PlacedStep, ...]


class ScenarioError(Exception):
    """A scenario file that cannot be played; the text names file, line and field."""


def shipped() -> dict[str, str]:
    """Return the scenarios that come with the simulator, their texts by name."""
    folder = files("kommo_simulator") / "scenarios"
    found = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return {name: found[name].read_text("utf-8") for name in sorted(found)}


def load(name: str) -> Scenario:
    """Return the scenario of a file, or the shipped one of that name.

    Raises:
        ScenarioError: there is neither, or it is not valid.
    """
    path = Path(name)
    try:
        text = shipped()[name] if not path.exists() and name in shipped() else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ScenarioError(f"{name}: {reason}; shipped scenarios: {', '.join(shipped())}") from error
    return parse(text, name)


def parse(text: str, name: str) -> Scenario:
    """Return the scenario of a TOML text.

    Args:
        name: what to call the file in errors.

    Raises:
        ScenarioError: it is not valid; all faulty steps are named, one a line.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: {error}") from error
    lines = _step_lines(text)
    try:
        head = msgspec.convert(data, Head)
    except msgspec.ValidationError as error:
        raise ScenarioError(_located(name, text, (1, len(text.splitlines())), "", error)) from error
    if not head.steps:
        raise ScenarioError(f"{name}: steps: there is none")
    steps, problems = [], []
    for index, table in enumerate(head.steps):
        span = lines[index] if len(lines) == len(head.steps) else (1, len(text.splitlines()))
        try:
            verb, step = _step(table)
            steps.append(PlacedStep(verb, step, span[0]))
        except msgspec.ValidationError as error:
            problems.append(_located(name, text, span, f"steps[{index}]", error))
    if problems:
        raise ScenarioError("\n".join(problems))
    return Scenario(name, head.title, head.description, head.within_seconds, head.client, tuple(steps))


def _step(table: dict[str, Any]) -> tuple[str, Step]:
    found = [key for key in table if key in VERBS]
    if len(found) != 1 or len(table) != 1:
        unknown = [key for key in table if key not in VERBS]
        if unknown:
            raise msgspec.ValidationError(
                f"unknown step `{unknown[0]}`; known: {', '.join(VERBS)} - at `$.{unknown[0]}`"
            )
        raise msgspec.ValidationError("a step has exactly one of: " + ", ".join(VERBS))
    verb = found[0]
    kind, value = VERBS[verb], table[verb]
    if not isinstance(value, dict):
        # `client = "Hola"` is short for `client = { text = "Hola" }`.
        value = {kind.__struct_fields__[0]: value}
    try:
        return verb, msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        path = f"`$.{verb}{found_path['path']}`" if (found_path := _PATH.search(text)) else ""
        said = _PATH.sub(lambda _: path, text) if path else f"{text} - at `$.{verb}`"
        raise msgspec.ValidationError(said) from error


def _located(name: str, text: str, span: tuple[int, int], prefix: str, error: msgspec.ValidationError) -> str:
    said = str(error)
    found = _PATH.search(said)
    path = found["path"].strip(".") if found else ""
    reason = said.partition(" - at `$")[0]
    unknown = re.search(r"unknown field `(\w+)`", reason)
    # The innermost name that the text spells out: a short form such as `client = "Hola"` leaves names out.
    keys = [*([unknown[1]] if unknown else []), *reversed(re.findall(r"\w+", path))]
    field = ".".join(part for part in (prefix, path) if part) or (unknown[1] if unknown else "file")
    return f"{name}:{_line_of(text, span, keys)}: {field}: {reason}"


def _line_of(text: str, span: tuple[int, int], keys: list[str]) -> int:
    rows = text.splitlines()[span[0] - 1 : span[1]]
    for key in keys:
        wanted = re.compile(rf"(^|[\s{{,.\[]){re.escape(key)}\s*[=.\]]")
        for number, row in enumerate(rows):
            if wanted.search(row):
                return span[0] + number
    return span[0]


def _step_lines(text: str) -> list[tuple[int, int]]:
    starts, is_inside = [], ""
    rows = text.splitlines()
    for number, row in enumerate(rows, 1):
        if not is_inside and _STEP_BEGINS.match(row):
            starts.append(number)
        for mark in ('"""', "'''"):
            if row.count(mark) % 2 and is_inside in ("", mark):
                is_inside = "" if is_inside else mark
    return [(start, end - 1) for start, end in zip(starts, [*starts, len(rows) + 1][1:], strict=True)]
