"""Settings under both of their names, and the commands for people."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm_service.cli import app
from llm_service.settings import LlmSettings


@pytest.mark.parametrize("prefix", ["", "MESH_"])
def test_given_either_name_when_read_then_the_setting_is_set(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    for name, value in {"API_KEY": "k", "BASE_URL": "http://x/v1", "MODEL_CHAT": "m", "MODEL_FAST": "f"}.items():
        monkeypatch.setenv(f"{prefix}OPENAI_{name}", value)
    settings = LlmSettings()
    assert settings.openai_api_key.get_secret_value() == "k"
    assert (settings.openai_base_url, settings.openai_model_chat, settings.openai_model_fast) == (
        "http://x/v1",
        "m",
        "f",
    )
    assert "k" not in repr(settings.openai_api_key)


def test_given_both_names_when_read_then_the_mesh_s_own_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_MODEL_CHAT", "theirs")
    monkeypatch.setenv("MESH_OPENAI_MODEL_CHAT", "ours")
    assert LlmSettings().openai_model_chat == "ours"


def test_given_the_example_when_checked_then_it_is_fine() -> None:
    result = CliRunner().invoke(app, ["check", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["products"] >= 60


def test_given_a_wrong_profile_when_checked_then_file_line_and_field_are_printed(tmp_path: Path) -> None:
    (tmp_path / "business.toml").write_text('name = "Tienda"\n')
    (tmp_path / "catalog.csv").write_text("sku,name,price\nA,Mesa,caro\n")
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert "catalog.csv:2: price" in result.output


def test_given_words_when_searched_then_the_rows_are_printed() -> None:
    result = CliRunner().invoke(app, ["search", "sartén de 24", "--json"])
    assert [row["id"] for row in json.loads(result.output)] == ["COC-SAR-24"]
    assert "Nothing fits" in CliRunner().invoke(app, ["search", "zapatillas"]).output
    assert "COC-SAR-24" in CliRunner().invoke(app, ["search", "sartén de 24"]).output
