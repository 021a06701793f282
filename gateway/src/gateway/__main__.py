"""Starts the gateway: `python -m gateway [web|worker|all]`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from gateway.settings import GatewaySettings
from gateway.web import run_web
from gateway.worker.main import run_worker, serve_worker
from gateway.worker.settings import WorkerSettings
from kommomesh_runtime.accounts import AccountsInvalid, load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.profile import ProfileError
from kommomesh_runtime.server import run, stop_requested

CANNOT_START = 2


async def _web(settings: GatewaySettings, stop: asyncio.Event, *, has_worker: bool) -> None:
    accounts = load_accounts(settings.accounts_dir, os.environ)
    await run_web(settings, accounts, stop, has_worker=has_worker)


async def _both(settings: GatewaySettings, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_web(settings, stop, has_worker=True))
        group.create_task(run_worker(WorkerSettings(), stop))


async def _main(part: str) -> None:
    stop = stop_requested()
    if part == "worker":
        worker_settings = WorkerSettings()
        configure_logging(worker_settings)
        await serve_worker(worker_settings, stop)
        return
    settings = GatewaySettings()
    configure_logging(settings)
    if part == "all" and settings.embedded_worker:
        await _both(settings, stop)
    else:
        await _web(settings, stop, has_worker=False)


def _say(problems: ExceptionGroup[Exception]) -> int:
    for problem in problems.exceptions:
        if isinstance(problem, ExceptionGroup):
            _say(problem)
        else:
            sys.stderr.write(f"gateway: {problem}\n")
    return CANNOT_START


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the part of the gateway that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="gateway", description="The HTTP edge of Kommo Mesh and its worker.")
    parser.add_argument(
        "part",
        nargs="?",
        default="all",
        choices=("web", "worker", "all"),
        help="web: webhooks in; worker: turns and deliveries; all: both in one process (default)",
    )
    status = 0
    try:
        run(_main(parser.parse_args(arguments).part))
    except* (AccountsInvalid, ProfileError, OSError) as problems:
        status = _say(problems)
    return status


if __name__ == "__main__":
    sys.exit(main())
