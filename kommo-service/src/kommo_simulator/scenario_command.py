"""The command `kommo-simulator scenario`."""

import asyncio
from typing import Annotated

import msgspec
import typer

from kommo_simulator.scenario_file import ScenarioError, load, parse, shipped
from kommo_simulator.scenario_run import Verdict, play


def scenario(
    names: Annotated[list[str] | None, typer.Argument(metavar="FILE…", help="Files, or names of shipped ones.")] = None,
    url: Annotated[
        str, typer.Option(envvar="MESH_SIMULATOR_URL", help="Where the simulator listens.")
    ] = "http://127.0.0.1:8090",
    patience: Annotated[float, typer.Option(min=0.1, max=100, help="Factor on the time replies may take.")] = 1.0,
    check: Annotated[bool, typer.Option("--check", help="Only validate the files.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the shipped scenarios.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print verdicts as JSON, without transcripts.")] = False,
) -> None:
    """Play dialogues against a running simulator and check what the integration behind it does.

    Ends with 0 when every scenario passed, 1 when one failed, 2 when a file is not valid. Restores what it changed.
    """
    if listed:
        for name, text in shipped().items():
            typer.echo(f"{name:<24} {parse(text, name).title}")
        return
    if not names:
        raise typer.BadParameter("name a file or a shipped scenario; --list shows these", param_hint="FILE")
    try:
        scenarios = [load(name) for name in names]
    except ScenarioError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if check:
        typer.echo(f"{len(scenarios)} valid")
        return
    say = _silent if as_json else typer.echo
    verdicts = [asyncio.run(play(one, url, say, patience)) for one in scenarios]
    _report(verdicts, as_json)


def _report(verdicts: list[Verdict], as_json: bool) -> None:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if as_json:
        typer.echo(msgspec.json.encode(verdicts).decode())
    elif len(verdicts) > 1:
        typer.echo(f"{len(verdicts) - len(failed)} of {len(verdicts)} passed")
        for verdict in failed:
            typer.echo(f"  {verdict.failure}")
    if failed:
        raise typer.Exit(1)


def _silent(_line: str) -> None:
    """Take a line of a transcript that nobody asked for."""
