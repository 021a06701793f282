"""The command `kommo-simulator`."""

import asyncio
import logging
import signal
from typing import Annotated, Any

import structlog
import typer
from pydantic import ValidationError

from kommo_simulator.scenario_command import scenario
from kommo_simulator.server import running_simulator
from kommo_simulator.settings import SimulatorSettings

command = typer.Typer(add_completion=True)
command.command()(scenario)
log = structlog.get_logger()

Text = str | None


@command.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    host: Annotated[Text, typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 lets the kernel pick one; default 8090.")] = None,
    account_id: Annotated[int | None, typer.Option(help="Id of the account; default 12345.")] = None,
    subdomain: Annotated[Text, typer.Option(help="Subdomain of the account; default test.")] = None,
    access_token: Annotated[Text, typer.Option(help="Bearer token of the REST API.")] = None,
    webhook_url: Annotated[list[str] | None, typer.Option(help="Destination of CRM webhooks; may repeat.")] = None,
    rate: Annotated[int | None, typer.Option(help="REST requests per second; 0 = unlimited; default 7.")] = None,
    quota: Annotated[int | None, typer.Option(help="send_message calls a month; 0 = unlimited; default 10000.")] = None,
    amojo_id: Annotated[Text, typer.Option(help="The account's id in the Chats API.")] = None,
    channel_id: Annotated[Text, typer.Option(help="Id of the own channel.")] = None,
    channel_secret: Annotated[Text, typer.Option(help="Secret of the own channel.")] = None,
    bot_id: Annotated[Text, typer.Option(help="Id of the own channel's bot.")] = None,
    chats_webhook_url: Annotated[Text, typer.Option(help="URL of Chats webhooks; may contain :scope_id.")] = None,
    adopt_unknown_chats: Annotated[
        bool | None, typer.Option(help="Make a chat for unknown talks and contacts; default on.")
    ] = None,
    serve_media: Annotated[
        bool | None, typer.Option(help="Links of files point at the simulator; default off.")
    ] = None,
    public_url: Annotated[Text, typer.Option(help="URL of such links, when it is not where it listens.")] = None,
    time_scale: Annotated[float | None, typer.Option(help="Factor on retry delays and bans; default 1.")] = None,
) -> None:
    """A faithful Kommo for development and tests. Without a command: serves it until it is interrupted.

    Every option, and more settings, can also be given as MESH_SIMULATOR_<NAME>; an option wins.
    The chat page is at /, the control API under /control/.
    """
    given: dict[str, Any] = {name: value for name, value in locals().items() if value is not None}
    del given["context"]
    if context.invoked_subcommand is not None:
        return
    if "webhook_url" in given:
        given["webhook_urls"] = tuple(given.pop("webhook_url"))
    try:
        settings = SimulatorSettings(**given)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise typer.BadParameter(places) from error
    _log_json()
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        typer.echo(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


async def _serve(settings: SimulatorSettings) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with running_simulator(settings) as running:
        log.info("simulator.started", port=running.port, url=running.url, account_id=settings.account_id)
        await stopped.wait()
    log.info("simulator.stopped")


def _log_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(),
    )


def main() -> None:
    """Run the command."""
    command()


if __name__ == "__main__":
    main()
