"""The pages on log events and metrics say exactly what the code logs and measures."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations"
EVENTS_PAGE = OPERATIONS / "log-events.md"
METRICS_PAGE = OPERATIONS / "metrics-and-alerts.md"
PACKAGES = {
    "gateway web": "gateway/src/gateway",
    "gateway worker": "gateway/src/gateway/worker",
    "conversation": "conversation-service/src/conversation_service",
    "intent": "intent-service/src/intent_service",
    "llm": "llm-service/src/llm_service",
    "kommo": "kommo-service/src/kommo_service",
    "simulator": "kommo-service/src/kommo_simulator",
    "all": "protos/runtime/src/kommomesh_runtime",
}
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
INSTRUMENTS = {"counter", "gauge", "histogram", "Counter", "Gauge", "Histogram"}
SERIES = re.compile(r"\b[a-z]\w+(?=[{\[])")


@dataclass(slots=True)
class Event:
    """What the code says of an event: at which levels, where, and with which fields."""

    levels: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    is_open: bool = False


def calls_of(folder: str, *, without: str = "") -> Iterator[ast.Call]:
    """Give every call in the modules of a folder, but not of the one in it that has rows of its own."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        if not (without and path.is_relative_to(ROOT / without)):
            yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    worker = PACKAGES["gateway worker"]
    return tuple(
        (place, call)
        for place, folder in PACKAGES.items()
        for call in calls_of(folder, without=worker if place == "gateway web" else "")
    )


def is_log_call(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
    )


def literal(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def events() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for place, call in calls():
        name = literal(call)
        if not is_log_call(call) or name is None:
            continue
        assert isinstance(call.func, ast.Attribute)
        event = found.setdefault(name, Event())
        event.levels.add(LEVELS[call.func.attr])
        event.places.add(place)
        event.fields |= {one.arg for one in call.keywords if one.arg is not None and one.arg != "exc_info"}
        event.is_open = event.is_open or any(one.arg is None for one in call.keywords)
    return found


def labels_of(call: ast.Call) -> set[str]:
    """Return the texts of the third argument, which is the tuple of labels."""
    rest = call.args[2:3]
    return {node.value for one in rest for node in ast.walk(one) if isinstance(node, ast.Constant)}


def metrics() -> dict[str, tuple[set[str], str]]:
    """Return labels and place of every metric, by its name."""
    found = {}
    for place, call in calls():
        name = literal(call)
        if isinstance(call.func, ast.Name) and call.func.id in INSTRUMENTS and name is not None:
            found[name] = (labels_of(call), place)
    return found


def rows_of(page: Path, first_header: str) -> dict[str, list[str]]:
    """Return the cells after the first of every row of the tables whose first column has that header, by its name."""
    found: dict[str, list[str]] = {}
    is_wanted = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            is_wanted = False
        elif cells[0] == first_header:
            is_wanted = True
        elif is_wanted and (name := re.fullmatch(r"`([\w.]+)`", cells[0])):
            assert name[1] not in found, f"{name[1]} is in {page.name} twice"
            found[name[1]] = cells[1:]
    return found


def listed(cell: str) -> set[str]:
    return {one.strip(" `") for one in cell.split(",") if one.strip(" `")}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_given_every_log_call_when_read_then_its_event_is_a_literal_noun_and_verb():
    logged = [call for _, call in calls() if is_log_call(call)]
    assert len(logged) > 50
    wrong = [ast.unparse(call) for call in logged if not re.fullmatch(r"[a-z_]+\.[a-z_]+", literal(call) or "")]
    assert wrong == []


def test_given_log_events_page_when_compared_then_it_names_exactly_the_events_of_the_code():
    assert set(rows_of(EVENTS_PAGE, "event")) == set(events())


def test_given_log_events_page_when_compared_then_levels_places_and_fields_are_those_of_the_code():
    rows = rows_of(EVENTS_PAGE, "event")
    for name, event in events().items():
        level, place, _, fields = rows[name]
        assert (listed(level), listed(place)) == (event.levels, event.places), name
        missing, surplus = event.fields - named(fields), named(fields) - event.fields
        assert not missing, f"{name} lacks {missing}"
        assert event.is_open or not surplus, f"{name} has no {surplus}"


def test_given_metrics_page_when_compared_then_names_labels_and_places_are_those_of_the_code():
    rows = rows_of(METRICS_PAGE, "metric")
    shown = {name: (named(cells[0]), cells[1]) for name, cells in rows.items()}
    assert shown == metrics()


def test_given_alerts_when_read_then_every_series_in_them_is_of_a_metric():
    known = metrics()
    text = METRICS_PAGE.read_text()
    series = set(SERIES.findall(text))
    assert len(series) > 10
    unknown = {one for one in series if one not in known and re.sub(r"_(bucket|count|sum)$", "", one) not in known}
    assert unknown == set()
