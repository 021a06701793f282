"""Commands for people: explain one decision, score a labelled file."""

from __future__ import annotations

import json
import os

# One core, as in the service: before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from intent_service.adapters.assembly import build_analyzer
from intent_service.adapters.measuring import measure
from intent_service.adapters.profile_file import load_profile_rules
from intent_service.adapters.rule_files import read_spellings
from intent_service.adapters.scoring import LabelledFileInvalid, Score, read_labelled, score
from intent_service.domain.analysis import Analysis, Intent
from intent_service.domain.analyzer import DEFAULT_LOCALE, Analyzer
from intent_service.domain.profile import Profile
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.profile import ProfileError

app = typer.Typer(help="Intents: what messages want, and how well the service knows.", no_args_is_help=True)
console = Console()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("try")
def try_message(
    text: Annotated[str, typer.Argument(help="The message.")],
    profile: Annotated[Path | None, typer.Option(help="Directory of a business profile.")] = None,
    locale: Annotated[str, typer.Option(help="Language of the reason for people.")] = DEFAULT_LOCALE,
    as_json: AsJson = False,
) -> None:
    """Explain what the service makes of a message."""
    analyzer = build_analyzer()
    try:
        analysis = analyzer.analyze(text, locale=locale, profile=_profile(analyzer, profile))
    except (InvalidArgument, ProfileError) as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        console.print_json(json.dumps(asdict(analysis)))
    else:
        _print_analysis(analyzer.prepared(text), analysis)


@app.command("eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help="JSON lines with text, intent and, where known, lang.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Score the service on a labelled file."""
    try:
        result = score(build_analyzer(), read_labelled(file))
    except LabelledFileInvalid as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        console.print_json(json.dumps(_jsonable(result)))
    else:
        _print_score(result)


@app.command("bench")
def bench(
    file: Annotated[Path, typer.Argument(help="JSON lines with text and intent.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Measure start, latency, throughput and memory on this machine, on one core."""
    figures = measure(build_analyzer, [message.text for message in read_labelled(file)])
    if as_json:
        console.print_json(json.dumps(asdict(figures)))
        return
    for name, value in asdict(figures).items():
        console.print(f"{name.replace('_', ' ')}: {value:,.2f}")


def _profile(analyzer: Analyzer, directory: Path | None) -> Profile | None:
    if directory is None:
        return None
    return analyzer.profile(load_profile_rules(directory, read_spellings()))


def _print_analysis(prepared: str, analysis: Analysis) -> None:
    table = Table(show_header=False)
    table.add_row("read as", prepared)
    table.add_row("intent", f"{analysis.intent} ({analysis.confidence:.2f})")
    table.add_row("runners-up", ", ".join(f"{intent} ({share:.2f})" for intent, share in analysis.runners_up))
    table.add_row("rules", ", ".join(analysis.matched) or "none; the model alone")
    table.add_row("language", analysis.language)
    table.add_row("sentiment", f"{analysis.sentiment} ({analysis.sentiment_score:+.2f})")
    escalation = analysis.escalation
    table.add_row("person needed", "yes" if escalation.should_escalate else "no")
    if escalation.should_escalate:
        table.add_row("reason", f"{escalation.reason_code}: {escalation.reason}")
        table.add_row("priority", str(escalation.priority))
        table.add_row("evidence", ", ".join(escalation.matched))
    console.print(table)


def _print_score(result: Score) -> None:
    console.print(
        f"{result.count} messages: accuracy {result.accuracy:.3f}, macro-F1 {result.macro_f1:.3f}, "
        f"calibration error {result.calibration_error:.3f}"
    )
    for title, shares in (("language", result.accuracy_by_language), ("register", result.accuracy_by_register)):
        console.print(
            f"accuracy by {title}: " + ", ".join(f"{key or '?'} {share:.3f}" for key, share in shares.items())
        )
    table = Table("gold \\ told", *(intent[:8] for intent in Intent), "F1")
    for gold in Intent:
        counts = [str(result.confusion.get((gold, told), 0)) for told in Intent]
        table.add_row(gold, *counts, f"{result.f1.get(gold, 0):.3f}")
    console.print(table)


def _jsonable(result: Score) -> dict[str, object]:
    confusion = {f"{gold}>{told}": count for (gold, told), count in result.confusion.items()}
    return {**asdict(result), "confusion": confusion}


if __name__ == "__main__":
    app()
