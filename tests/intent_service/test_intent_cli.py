"""The commands for people."""

import json

from typer.testing import CliRunner

from intent_service.cli import app


def test_given_message_when_tried_then_the_decision_is_explained():
    result = CliRunner().invoke(app, ["try", "quiero hablar con un asesor", "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.output)
    assert answer["intent"] == "escalation"
    assert answer["escalation"]["should_escalate"]


def test_given_empty_message_when_tried_then_the_problem_is_said():
    result = CliRunner().invoke(app, ["try", " "])
    assert result.exit_code == 2
    assert "required" in result.output


def test_given_labelled_file_when_evaluated_then_figures_come(tmp_path):
    file = tmp_path / "messages.jsonl"
    file.write_text(
        '{"text": "hola", "intent": "greeting", "lang": "es"}\n{"text": "mil gracias", "intent": "other"}\n'
    )
    result = CliRunner().invoke(app, ["eval", str(file), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["accuracy"] == 1.0
    assert CliRunner().invoke(app, ["eval", str(file)]).exit_code == 0


def test_given_bad_line_when_evaluated_then_file_and_line_are_named(tmp_path):
    file = tmp_path / "messages.jsonl"
    file.write_text('{"text": "hola", "intent": "greeting"}\n{"text": "x", "intent": "nothing"}\n')
    result = CliRunner().invoke(app, ["eval", str(file)])
    assert result.exit_code == 2
    assert "messages.jsonl:2" in result.output.replace("\n", "").replace("│", "").replace(" ", "")
