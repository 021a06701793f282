"""The command of kommo-service: settings, accounts, transports, server."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import grpc

from kommo_service.adapters.alert_calls import open_alert_caller
from kommo_service.adapters.media import open_media_inspector
from kommo_service.adapters.relay import open_relay_poster
from kommo_service.adapters.routes import open_routes
from kommo_service.adapters.token_watch import watched_tokens
from kommo_service.channel_servicer import ChannelServicer
from kommo_service.domain.alert import allowed_hosts
from kommo_service.servicer import KommoServicer
from kommo_service.settings import KommoSettings
from kommomesh.kommo.v1 import (
    channel_service_pb2,
    channel_service_pb2_grpc,
    kommo_service_pb2,
    kommo_service_pb2_grpc,
)
from kommomesh_runtime.accounts import Accounts, load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.server import Service, run, serve

SERVICE_NAME = kommo_service_pb2.DESCRIPTOR.services_by_name["KommoService"].full_name
CHANNEL_SERVICE_NAME = channel_service_pb2.DESCRIPTOR.services_by_name["ChannelService"].full_name


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_service(
    settings: KommoSettings,
    accounts: Accounts,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Service]:
    """Open the service over its accounts, for the process or for a server in another one.

    Args:
        settings: what the operator chose.
        accounts: the accounts that are served.
        now: returns the time.
        clock: returns seconds that only grow.
    """
    async with (
        open_routes(
            accounts,
            settle_seconds=settings.kommo_settle_seconds,
            now=now,
            clock=clock,
            answer_seconds=settings.kommo_answer_seconds,
        ) as routes,
        open_media_inspector() as media,
        open_alert_caller(allowed_hosts(settings.alert_hosts), now) as alerts,
        open_relay_poster(now) as relay,
    ):
        servicer = KommoServicer(routes, accounts, now, media, alerts)
        channel = ChannelServicer(routes, accounts, relay, now)
        yield Service(SERVICE_NAME, partial(_register, servicer, channel), others=(CHANNEL_SERVICE_NAME,))


def _register(kommo: KommoServicer, channel: ChannelServicer, server: grpc.aio.Server) -> None:
    kommo_service_pb2_grpc.add_KommoServiceServicer_to_server(kommo, server)
    channel_service_pb2_grpc.add_ChannelServiceServicer_to_server(channel, server)


async def _main() -> None:
    settings = KommoSettings()
    configure_logging(settings)
    accounts = load_accounts(settings.accounts_dir, os.environ)
    async with open_service(settings, accounts) as service, watched_tokens(accounts, utc_now):
        await serve([service], settings)


def main() -> None:
    """Run the service until it is told to stop."""
    run(_main())


if __name__ == "__main__":
    main()
