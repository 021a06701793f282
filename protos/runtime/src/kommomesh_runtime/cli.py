"""The command `kommomesh`: sub-commands live with the package that owns the thing they show."""

import json
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

COMMANDS = "kommomesh.commands"
SETTINGS = "kommomesh.settings"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def kommomesh() -> None:
    """Look after a Kommo Mesh."""


def variables_of(name: str, field: FieldInfo, prefix: str = "MESH_") -> list[str]:
    """Return the environment variables that a setting is read from, the project's own first."""
    alias = field.validation_alias
    choices = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [f"{prefix}{name.upper()}"]
    return sorted(choices, key=lambda one: not one.startswith("MESH_"))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=False) if field.default_factory is None else "(made at the start)"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is PydanticUndefined:
        return "required"
    return "" if value is None else str(value)


def settings_rows() -> list[dict[str, str]]:
    """Return every setting of every installed part of the mesh: part, variable, default and description."""
    rows: list[dict[str, str]] = []
    for point in sorted(entry_points(group=SETTINGS), key=lambda one: one.name):
        settings_class = point.load()
        prefix = settings_class.model_config.get("env_prefix", "")
        for name, field in settings_class.model_fields.items():
            variable = ", ".join(variables_of(name, field, prefix))
            text = field.description or ""
            rows.append({"part": point.name, "variable": variable, "default": _default(field), "description": text})
    return rows


def print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows as a table for people, or as JSON."""
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table(*rows[0]) if rows else Table("nothing")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


def settings_page() -> str:
    """Return the page of settings for the documentation, in Markdown."""
    lines = ["# Settings", "", "Made by `kommomesh settings --markdown`; a test keeps it equal to the code."]
    part = ""
    for row in settings_rows():
        if row["part"] != part:
            part = row["part"]
            lines += ["", f"## {part}", "", "| variable | default | what it says |", "|---|---|---|"]
        default = f"`{row['default']}`" if row["default"] else ""
        lines.append(f"| `{row['variable']}` | {default} | {row['description'].replace('|', '/')} |")
    return "\n".join(lines) + "\n"


@app.command()
def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")] = False,
) -> None:
    """List every setting of every installed service."""
    if as_markdown:
        typer.echo(settings_page(), nl=False)
        return
    print_rows(settings_rows(), as_json=as_json)


def main() -> None:
    """Run the command with the sub-commands of every installed package."""
    for point in sorted(entry_points(group=COMMANDS), key=lambda one: one.name):
        app.add_typer(point.load(), name=point.name)
    app()
