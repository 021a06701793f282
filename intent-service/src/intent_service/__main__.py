"""Starts intent-service: settings, model, profiles, servicer."""

import os

# The encoder runs on one core: threads of the linear algebra library would only fight each other for small matrices.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
from contextlib import suppress
from functools import partial

from intent_service.adapters.assembly import build_analyzer
from intent_service.adapters.profiles import Profiles
from intent_service.adapters.rule_files import read_borders
from intent_service.domain.escalation import Thresholds
from intent_service.servicer import SERVICE, IntentServicer
from intent_service.settings import IntentSettings
from kommomesh.intent.v1 import intent_service_pb2_grpc as pb_grpc
from kommomesh_runtime.accounts import load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.server import Service, run, serve


async def main() -> None:
    """Serve until the process is asked to stop."""
    settings = IntentSettings()
    configure_logging(settings)
    thresholds = Thresholds(settings.human_request_threshold, settings.complaint_threshold, settings.decision_threshold)
    analyzer = build_analyzer(thresholds)
    profiles = Profiles(load_accounts(settings.accounts_dir, os.environ), analyzer)
    await profiles.refresh()
    servicer = IntentServicer(analyzer, profiles, read_borders())
    watcher = asyncio.create_task(profiles.watch(settings.reload_seconds))
    try:
        await serve([Service(SERVICE, partial(pb_grpc.add_IntentServiceServicer_to_server, servicer))], settings)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


if __name__ == "__main__":
    run(main())
