"""The command `kommo-relay-example`."""

import asyncio
import signal
from typing import Annotated

import typer

from kommo_relay_example.relay import RelaySettings
from kommo_relay_example.server import running_relay

LOCAL_SECRET = "local-relay-secret"  # noqa: S105 - the public secret of the local account
LOCAL_MESH = "http://127.0.0.1:8080/api/channel/12345"

command = typer.Typer(add_completion=True)


@command.command()
def run(
    mesh_url: Annotated[
        str, typer.Option(envvar="RELAY_MESH_URL", help="The mesh's endpoint of the account, /api/channel/{account}.")
    ] = LOCAL_MESH,
    secret: Annotated[
        str, typer.Option(envvar="RELAY_SECRET", help="The account's relay_secret.", show_default=False)
    ] = LOCAL_SECRET,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 lets the kernel pick one.")] = 8095,
    status: Annotated[str, typer.Option(help="What it says of messages: sent, delivered or read.")] = "delivered",
) -> None:
    """An example relay: shows what it would send to a messenger, and lets you write as its client.

    The chat page is at /; the mesh posts to /messages, which the account file names as relay_url.
    """
    try:
        asyncio.run(_serve(RelaySettings(mesh_url, secret, host, port, status)))
    except OSError as error:
        typer.echo(f"cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


async def _serve(settings: RelaySettings) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with running_relay(settings, typer.echo) as running:
        typer.echo(f"the relay listens: relay_url = {running.relay_url}, chat as a client at {running.url}/")
        await stopped.wait()


def main() -> None:
    """Run the command."""
    command()


if __name__ == "__main__":
    main()
