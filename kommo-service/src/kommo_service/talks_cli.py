"""The command `kommomesh talks`: what Kommo's own record says of a talk, with the proof of each message."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from kommo_service.account_checks import find_account
from kommo_service.adapters.routes import open_routes
from kommo_service.proof_wire import talk_messages
from kommo_service.settings import KommoSettings
from kommomesh.kommo.v1 import delivery_proof_pb2 as pb
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as service_grpc
from kommomesh_runtime.accounts import Accounts, AccountsInvalid, load_accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.cli import print_rows
from kommomesh_runtime.errors import MeshError, RemoteError

KOMMO_SERVICE = "kommomesh.kommo.v1.KommoService"
LIMIT_SECONDS = 30.0
PAGE = 200
# More than anybody reads; a talk that has more is read in Kommo.
MOST_PAGES = 10

app = typer.Typer(name="talks", help="Read talks as Kommo keeps them.", no_args_is_help=True)

Ask = Callable[[pb.ListTalkMessagesRequest], Awaitable[pb.ListTalkMessagesResponse]]


@app.callback()
def talks() -> None:
    """Read talks as Kommo keeps them."""


@app.command()
def messages(
    account: Annotated[str, typer.Argument(help="Id or subdomain of the account.")],
    talk: Annotated[str, typer.Argument(help="Number of the talk, as Kommo shows it.")],
    address: Annotated[
        str,
        typer.Option("--address", help="Ask the kommo-service there, such as 127.0.0.1:50064, and not this machine."),
    ] = "",
    directory: Annotated[
        Path | None, typer.Option("--accounts-dir", help="Directory of account files; by default MESH_ACCOUNTS_DIR.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the messages of a talk, the oldest first, and how far those of the company have come."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    work = _read_remotely(account, talk, address) if address else _read_here(account, talk, directory)
    try:
        found = asyncio.run(work)
    except (AccountsInvalid, MeshError, RemoteError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    print_rows([_row(one) for one in found], as_json=as_json)


async def _read_here(account: str, talk: str, directory: Path | None) -> list[pb.TalkMessage]:
    accounts = load_accounts(directory or KommoSettings().accounts_dir, os.environ)
    chosen = Accounts.of(find_account(accounts, account))
    async with open_routes(chosen, settle_seconds=0, now=partial(datetime.now, UTC)) as routes:
        return await _all(account, talk, partial(talk_messages, routes, chosen))


async def _read_remotely(account: str, talk: str, address: str) -> list[pb.TalkMessage]:
    target = address if "://" in address else f"dns:///{address}"
    async with open_channel(target, services=(KOMMO_SERVICE,), limit_seconds=LIMIT_SECONDS) as channel:
        stub: Any = service_grpc.KommoServiceStub(channel)
        return await _all(account, talk, stub.ListTalkMessages)


async def _all(account: str, talk: str, ask: Ask) -> list[pb.TalkMessage]:
    """Return the messages of all pages, the oldest first: Kommo lists them in no order."""
    found: list[pb.TalkMessage] = []
    token = ""
    for _ in range(MOST_PAGES):
        request = pb.ListTalkMessagesRequest(account=account, talk_id=talk, page_size=PAGE, page_token=token)
        page = await ask(request)
        found.extend(page.messages)
        token = page.next_page_token
        if not token:
            break
    return sorted(found, key=lambda one: one.create_time.ToNanoseconds())


def _row(message: pb.TalkMessage) -> dict[str, Any]:
    has_status = message.delivery_status != pb.DELIVERY_STATUS_UNSPECIFIED
    status = pb.DeliveryStatus.Name(message.delivery_status).removeprefix("DELIVERY_STATUS_").lower()
    error = " ".join(str(part) for part in (message.error_code or "", message.error) if part)
    return {
        "time": message.create_time.ToDatetime(tzinfo=UTC).isoformat(timespec="seconds"),
        "author": pb.TalkAuthor.Name(message.author).removeprefix("TALK_AUTHOR_").lower(),
        "name": message.author_name,
        "status": status if has_status else "",
        "error": error,
        "type": message.message_type,
        "text": message.text,
        "id": message.id,
    }
