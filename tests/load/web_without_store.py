"""The gateway's web server without a store: what it reads is answered as stored and forgotten."""

import os
from collections.abc import Sequence

from local_web import serve_web

from gateway.adapters.ingest import CoalescerLimits, IngestCoalescer
from gateway.settings import GatewaySettings
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.accounts import load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.server import run, stop_requested

STORED = service_pb.IngestResult(outcome=service_pb.INGEST_OUTCOME_STORED)


class Forgetful(IngestCoalescer):
    """Says of every item that it is stored, at once."""

    async def store(
        self, items: Sequence[service_pb.IngestItem], within_seconds: float
    ) -> list[service_pb.IngestResult]:
        return [STORED] * len(items)


async def _no_call(request: service_pb.IngestMessagesRequest, *, timeout: float) -> service_pb.IngestMessagesResponse:
    raise AssertionError("nothing is ever sent")


async def _main() -> None:
    settings = GatewaySettings()
    configure_logging(settings)
    accounts = load_accounts(settings.accounts_dir, os.environ)
    await serve_web(settings, accounts, Forgetful(_no_call, CoalescerLimits()), stop_requested())


if __name__ == "__main__":
    run(_main())
