"""Logs tell where an error was raised and what it is, never what it says."""

import json

import pytest
import structlog

from kommomesh_runtime.logs import configure_logging, get_logger
from kommomesh_runtime.settings import MeshSettings

SECRET = "jirafa violeta"


@pytest.fixture(autouse=True)
def restored():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def _fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError(f"cannot read {SECRET}") from error


def _log_failures() -> None:
    log = get_logger()
    try:
        _fail()
    except RuntimeError as error:
        log.exception("work.failed", loop="turns")
        log.error("request.failed", exc_info=error)
    try:
        raise ExceptionGroup(SECRET, [KeyError(SECRET), ValueError(SECRET)])
    except ExceptionGroup:
        log.exception("group.failed")


def test_given_errors_that_quote_a_client_when_logged_as_json_then_frames_and_types_alone(capfdbinary):
    configure_logging(MeshSettings(log_format="json"))
    _log_failures()
    output = capfdbinary.readouterr().out.decode()
    lines = [json.loads(line) for line in output.splitlines()]
    assert "jirafa" not in output
    assert [line["event"] for line in lines] == ["work.failed", "request.failed", "group.failed"]
    for line in lines[:2]:
        assert "in _fail" in line["exception"]
        assert line["exception"].index("ValueError") < line["exception"].index("builtins.RuntimeError")
    assert "KeyError" in lines[2]["exception"]


def test_given_errors_that_quote_a_client_when_logged_pretty_then_frames_and_types_alone(capsys):
    configure_logging(MeshSettings(log_format="console"))
    _log_failures()
    output = capsys.readouterr().out
    assert "jirafa" not in output
    assert "in _fail" in output


def test_given_a_line_without_an_error_when_logged_then_it_has_none(capfdbinary):
    configure_logging(MeshSettings(log_format="json"))
    get_logger().exception("nothing.failed")
    assert "exception" not in json.loads(capfdbinary.readouterr().out)
