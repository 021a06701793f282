"""Serves the gateway's own web application over another coalescer than the one that calls conversation-service."""

import asyncio
import os
import time

import grpc

from gateway.adapters.authentication import Keyring
from gateway.adapters.ingest import IngestCoalescer
from gateway.settings import GatewaySettings
from gateway.status import Drain
from gateway.web import _bind, _build, _config, _now, _serving
from kommomesh_runtime.accounts import Accounts

NOWHERE = "dns:///127.0.0.1:1"


async def serve_web(
    settings: GatewaySettings, accounts: Accounts, coalescer: IngestCoalescer, stop: asyncio.Event
) -> None:
    """Serve until `stop`, built of the same parts and with the same server settings as the gateway itself."""
    keyring = Keyring(accounts, os.environ, time.monotonic)
    async with grpc.aio.insecure_channel(NOWHERE) as channel:
        app = _build(settings, keyring, channel, coalescer, drain=Drain(), has_worker=False, now=_now)
        async with _serving(_config(settings, app), _bind(settings.host, settings.port)):
            await stop.wait()
