"""The command `kommomesh channel`: connects the channel of an account to it, and disconnects it."""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import structlog
import typer

from kommo_service.account_checks import find_account
from kommo_service.adapters.channel_connection import TITLE, ChannelConnector, Connection
from kommo_service.adapters.kommo_http import KommoHttp, open_client
from kommo_service.domain.channel_check import ConnectionRefused
from kommo_service.domain.limiter import KommoRateLimited, Limiter
from kommo_service.settings import KommoSettings
from kommomesh_runtime.accounts import Account, AccountNotFound, AccountsInvalid, load_accounts

T = TypeVar("T")

app = typer.Typer(name="channel", help="Connect the channel of an account, or disconnect it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Id or subdomain of the account.")]
Directory = Annotated[
    Path | None, typer.Option("--accounts-dir", help="Directory of account files; by default MESH_ACCOUNTS_DIR.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _fail(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(1)


def _account(name: str, directory: Path | None) -> Account:
    try:
        return find_account(load_accounts(directory or KommoSettings().accounts_dir, os.environ), name)
    except AccountsInvalid as error:
        raise _fail(str(error)) from None
    except AccountNotFound as error:
        raise _fail(f"{error}; `kommomesh accounts list` shows those that are") from None


def _asked(account: Account, ask: Callable[[ChannelConnector], Awaitable[T]]) -> T:
    async def run() -> T:
        now = partial(datetime.now, UTC)
        async with open_client() as client:

            def host(base_url: str) -> KommoHttp:
                limiter = Limiter(account.requests_per_second)
                return KommoHttp(client, base_url, account.id, limiter, now=now, jitter=random.random)

            return await ask(ChannelConnector(account, host, now))

    # What people are told is the answer; logs in between would spoil the JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        return asyncio.run(run())
    except (ConnectionRefused, KommoRateLimited) as error:
        raise _fail(str(error)) from None


@app.command()
def connect(
    name: Name,
    title: Annotated[str, typer.Option("--title", help="How people in Kommo see the channel.")] = TITLE,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Connect the channel to the account; needed once, and again after each installation of the integration."""
    account = _account(name, directory)
    found: Connection = _asked(account, lambda connector: connector.connect(title))
    is_right = account.channel is not None and account.channel.scope_id == found.scope_id
    if as_json:
        shown = {"scope_id": found.scope_id, "hook_api_version": found.hook_api_version, "scope_id_fits": is_right}
        typer.echo(json.dumps(shown))
        return
    typer.echo(f"Connected, with hooks of version {found.hook_api_version or 'unknown'}.")
    if is_right:
        typer.echo("The account file has the right scope_id.")
    else:
        typer.echo(f'Write it into the account file, under [channel]:\nscope_id = "{found.scope_id}"')


@app.command()
def disconnect(name: Name, directory: Directory = None) -> None:
    """Disconnect the channel: people in Kommo can no longer write to its clients, nor clients to them."""
    _asked(_account(name, directory), lambda connector: connector.disconnect())
    typer.echo("Disconnected.")
