"""Commands for people who write business profiles."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kommomesh_runtime.cli import print_rows
from kommomesh_runtime.profile import ProfileError
from llm_service.adapters.encoder import shipped_encoder
from llm_service.adapters.library import Business, load_business
from llm_service.domain.values import Kind, Row

app = typer.Typer(name="profile", help="Check and try a business profile.", no_args_is_help=True)

Directory = Annotated[Path | None, typer.Argument(help="Directory of the profile; without it the example business.")]
Profile = Annotated[
    Path | None, typer.Option("--profile", help="Directory of the profile; without it the example business.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _loaded(directory: Path | None) -> Business:
    try:
        return load_business(directory, shipped_encoder())
    except ProfileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _as_data(row: Row, *, as_json: bool) -> dict[str, Any]:
    """Return what is shown of a row; people get the columns that fit on a terminal."""
    brief = {
        "kind": row.kind.value,
        "id": row.id,
        "title": row.title,
        "price": "" if row.price is None else f"{row.currency} {row.price}",
        "stock": "" if row.stock is None else row.stock,
        "score": row.score,
    }
    return {**brief, "text": row.text, "url": row.url} if as_json else brief


@app.command()
def check(directory: Directory = None, as_json: AsJson = False) -> None:
    """Read every file of a profile and say what is in it, or what is wrong, with file, line and field."""
    business = _loaded(directory)
    found = {
        "name": business.profile.name,
        "products": len(business.knowledge.products),
        "faqs": len(business.knowledge.faqs),
    }
    told = f"{found['name']}: {found['products']} products, {found['faqs']} questions; the profile is fine."
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else told)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help="What a client writes.")],
    profile: Profile = None,
    kind: Annotated[Kind | None, typer.Option(help="Only rows of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="At most so many rows.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show which rows of a profile fit a client's words."""
    rows = _loaded(profile).knowledge.find(words, limit, kind)
    if not rows and not as_json:
        typer.echo("Nothing fits well enough.")
        return
    print_rows([_as_data(row, as_json=as_json) for row in rows], as_json=as_json)


if __name__ == "__main__":
    app()
