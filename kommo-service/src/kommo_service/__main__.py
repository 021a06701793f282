"""The command of kommo-service: settings, accounts, transports, server."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from kommo_service.adapters.routes import open_routes
from kommo_service.servicer import KommoServicer
from kommo_service.settings import KommoSettings
from kommomesh.kommo.v1 import kommo_service_pb2, kommo_service_pb2_grpc
from kommomesh_runtime.accounts import Accounts, load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.server import Service, run, serve

SERVICE_NAME = kommo_service_pb2.DESCRIPTOR.services_by_name["KommoService"].full_name


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_service(
    settings: KommoSettings, accounts: Accounts, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Service]:
    """Open the service over its accounts, for the process or for a server in another one.

    Args:
        settings: what the operator chose.
        accounts: the accounts that are served.
        now: returns the time.
    """
    async with open_routes(accounts, settle_seconds=settings.kommo_settle_seconds, now=now) as routes:
        servicer = KommoServicer(routes, accounts, now)
        yield Service(SERVICE_NAME, partial(kommo_service_pb2_grpc.add_KommoServiceServicer_to_server, servicer))


async def _main() -> None:
    settings = KommoSettings()
    configure_logging(settings)
    async with open_service(settings, load_accounts(settings.accounts_dir, os.environ)) as service:
        await serve([service], settings)


def main() -> None:
    """Run the service until it is told to stop."""
    run(_main())


if __name__ == "__main__":
    main()
