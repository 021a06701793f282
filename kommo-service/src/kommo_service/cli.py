"""The command `kommomesh accounts`: which accounts the mesh serves, and what has to be repaired at one of them."""

import asyncio
import json
import os
import random
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kommo_service.account_checks import checked, find_account, from_proto
from kommo_service.adapters.account_check import CheckOrder
from kommo_service.adapters.kommo_http import KommoHttp, open_client
from kommo_service.domain.findings import Finding, Severity
from kommo_service.domain.limiter import Limiter
from kommo_service.settings import KommoSettings
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as outbox_grpc
from kommomesh.kommo.v1 import account_check_pb2 as check_pb
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as service_grpc
from kommomesh_runtime.accounts import (
    PUBLIC_URL,
    SECRET_NAMES,
    Account,
    AccountNotFound,
    Accounts,
    AccountsInvalid,
    load_accounts,
)
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.cli import print_rows
from kommomesh_runtime.errors import RemoteError

KOMMO_SERVICE = "kommomesh.kommo.v1.KommoService"
OUTBOX_SERVICE = "kommomesh.conversation.v1.OutboxService"
LIMIT_SECONDS = 90.0
_MARKS = {
    Severity.OK: "[green]ok[/green]",
    Severity.UNKNOWN: "[dim]not known[/dim]",
    Severity.WARNING: "[yellow]warning[/yellow]",
    Severity.PROBLEM: "[red]PROBLEM[/red]",
}

app = typer.Typer(name="accounts", help="Show the accounts of the mesh, and check one.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Option("--accounts-dir", help="Directory of account files; by default MESH_ACCOUNTS_DIR.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _fail(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(1)


def _accounts(directory: Path | None) -> Accounts:
    try:
        return load_accounts(directory or KommoSettings().accounts_dir, os.environ)
    except AccountsInvalid as error:
        raise _fail(str(error)) from None


def _row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "subdomain": account.subdomain,
        "transports": ", ".join(account.transports),
        "guide webhook": account.guide_webhook,
        "profile": str(account.profile or "the shipped example"),
        "secrets": ", ".join(name for name in SECRET_NAMES if account.secret(name)),
    }


@app.command(name="list")
def list_accounts(directory: Directory = None, as_json: AsJson = False) -> None:
    """List the accounts of the mesh, with the names of the secrets that they have."""
    print_rows([_row(account) for account in _accounts(directory)], as_json=as_json)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Id or subdomain of the account.")],
    fix: Annotated[
        bool, typer.Option("--fix", help="Subscribe to the webhooks and connect the channel where that is amiss.")
    ] = False,
    public_url: Annotated[
        str, typer.Option("--public-url", help="Where Kommo reaches the gateway; by default as the account file says.")
    ] = "",
    address: Annotated[
        str,
        typer.Option("--address", help="Ask the kommo-service there, such as 127.0.0.1:50064, and not this machine."),
    ] = "",
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Look at an account from its file to Kommo's answers; exits with 1 where something has to be repaired."""
    if public_url and not re.fullmatch(PUBLIC_URL, public_url):
        raise _fail(f"--public-url: {public_url} is not an http or https address")
    # What people are told is the findings; logs in between would spoil the JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if address:
        found = asyncio.run(_check_remotely(name, address, public_url, fix=fix))
    else:
        found = asyncio.run(_check_here(name, _accounts(directory), CheckOrder(fix, public_url)))
    _print(found, as_json=as_json)
    if any(one.severity is Severity.PROBLEM for one in found):
        raise typer.Exit(1)


async def _check_here(name: str, accounts: Accounts, order: CheckOrder) -> list[Finding]:
    try:
        account = find_account(accounts, name)
    except AccountNotFound as error:
        raise _fail(f"{error}; `kommomesh accounts list` shows those that are") from None
    now = partial(datetime.now, UTC)
    async with open_client() as client:

        def host(base_url: str) -> KommoHttp:
            limiter = Limiter(account.requests_per_second)
            return KommoHttp(client, base_url, account.id, limiter, now=now, jitter=random.random)

        return await checked(accounts, account, host, now, order)


async def _check_remotely(name: str, address: str, public_url: str, *, fix: bool) -> list[Finding]:
    request = check_pb.CheckAccountRequest(account=name, fix=fix, public_url=public_url)
    target = address if "://" in address else f"dns:///{address}"
    async with open_channel(target, services=(KOMMO_SERVICE,), limit_seconds=LIMIT_SECONDS) as channel:
        try:
            answer = await service_grpc.KommoServiceStub(channel).CheckAccount(request)
        except RemoteError as error:
            raise _fail(f"{address}: {error}") from None
    return [from_proto(one) for one in answer.findings]


@app.command()
def usage(
    name: Annotated[str, typer.Argument(help="Id or subdomain of the account; all accounts when it is left out.")] = "",
    address: Annotated[
        str, typer.Option("--address", help="Where conversation-service is, which counts the messages.")
    ] = "127.0.0.1:50061",
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Show how many messages accounts have sent this month of what Kommo counts, and how many they may send."""
    accounts = _accounts(directory)
    try:
        chosen = [find_account(accounts, name)] if name else list(accounts)
    except AccountNotFound as error:
        raise _fail(f"{error}; `kommomesh accounts list` shows those that are") from None
    rows = asyncio.run(_usages([one.id for one in chosen], address))
    # JSON says that a value is unknown; people see nothing there.
    print_rows(rows if as_json else [_without_none(row) for row in rows], as_json=as_json)


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in row.items()}


async def _usages(account_ids: list[str], address: str) -> list[dict[str, Any]]:
    target = address if "://" in address else f"dns:///{address}"
    async with open_channel(target, services=(OUTBOX_SERVICE,), limit_seconds=LIMIT_SECONDS) as channel:
        stub = outbox_grpc.OutboxServiceStub(channel)
        requests = [outbox_pb.GetMonthlyUsageRequest(account_id=account_id) for account_id in account_ids]
        try:
            return [_usage_row((await stub.GetMonthlyUsage(request)).usage) for request in requests]
        except RemoteError as error:
            raise _fail(f"{address}: {error}") from None


def _usage_row(usage: outbox_pb.MonthlyUsage) -> dict[str, Any]:
    quota = usage.message_quota if usage.HasField("message_quota") else None
    return {
        "account": usage.account_id,
        "month": usage.month,
        "sent": usage.message_count,
        "quota": quota,
        "left": None if quota is None else max(0, quota - usage.message_count),
        "told of at percent": usage.alarmed_percent,
    }


def _print(found: list[Finding], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return
    table = Table("what", "how", "found", "what to do")
    for one in sorted(found, key=lambda finding: finding.severity is not Severity.PROBLEM):
        table.add_row(one.check, _MARKS[one.severity], escape(one.summary), escape(one.remedy))
    Console().print(table)
    problems = sum(one.severity is Severity.PROBLEM for one in found)
    typer.echo(f"{problems} to repair." if problems else "Nothing to repair.")
