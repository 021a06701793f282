"""The process of conversation-service: settings, database, servicers, server."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from conversation_service.adapters.open_store import UnknownDatabase, open_store
from conversation_service.adapters.store import Store
from conversation_service.migrate import ForeignTables, MigrationBusy, migrate
from conversation_service.servicers.conversation import ConversationServicer, ConversationUseCases
from conversation_service.servicers.outbox import OutboxServicer
from conversation_service.servicers.turn import TurnServicer
from conversation_service.settings import ConversationSettings
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.outbox import OutboxUseCases
from conversation_service.use_cases.queries import QueryUseCases
from conversation_service.use_cases.quota import shown_usages
from conversation_service.use_cases.trace import TraceUseCases
from conversation_service.use_cases.turns import TurnUseCases
from conversation_service.use_cases.waiting_ages import ages_watched
from kommomesh.conversation.v1 import conversation_service_pb2_grpc, outbox_service_pb2_grpc, turn_service_pb2_grpc
from kommomesh_runtime.accounts import Accounts, AccountsInvalid, load_accounts
from kommomesh_runtime.logs import configure_logging
from kommomesh_runtime.profiles import read_profiles
from kommomesh_runtime.server import Service, run, serve

PACKAGE = "kommomesh.conversation.v1"


@asynccontextmanager
async def built_services(
    store: Store, accounts: Accounts, settings: ConversationSettings, drain: asyncio.Event
) -> AsyncIterator[list[Service]]:
    """Give the three services of a database; what they took in is finished on the way out."""
    profiles = read_profiles(accounts)
    ingest = IngestUseCases(
        store,
        accounts,
        most_items=settings.ingest_most_items,
        limit_seconds=settings.ingest_limit_seconds,
        looks=settings.looks,
        profiles=profiles,
    )
    conversation = ConversationServicer(
        ConversationUseCases(
            ingest, FloorUseCases(store, accounts, profiles=profiles), QueryUseCases(store), TraceUseCases(store)
        )
    )
    turn = TurnServicer(TurnUseCases(store, accounts, profiles=profiles), drain)
    outbox = OutboxServicer(
        OutboxUseCases(
            store,
            accounts,
            random.random,
            max_attempts=settings.delivery_max_attempts,
            looks=settings.looks,
            profiles=profiles,
        ),
        drain,
    )
    async with ages_watched(store):
        yield [
            Service(
                f"{PACKAGE}.ConversationService",
                partial(conversation_service_pb2_grpc.add_ConversationServiceServicer_to_server, conversation),
            ),
            Service(f"{PACKAGE}.TurnService", partial(turn_service_pb2_grpc.add_TurnServiceServicer_to_server, turn)),
            Service(
                f"{PACKAGE}.OutboxService", partial(outbox_service_pb2_grpc.add_OutboxServiceServicer_to_server, outbox)
            ),
        ]
    await ingest.aclose()


@asynccontextmanager
async def opened_store(settings: ConversationSettings) -> AsyncIterator[Store]:
    """Give the store that the settings name, migrated first where they say so."""
    database_url = settings.database_url.get_secret_value()
    if settings.migrates_on_start:
        await migrate(database_url)
    async with open_store(
        database_url,
        pool_size=settings.database_pool_size,
        acquire_seconds=settings.database_acquire_seconds,
        limit_seconds=settings.database_limit_seconds,
        is_pooled=settings.database_pooler,
    ) as store:
        yield store


async def _serve(settings: ConversationSettings) -> None:
    accounts = load_accounts(settings.accounts_dir, os.environ)
    drain = asyncio.Event()
    async with (
        opened_store(settings) as store,
        built_services(store, accounts, settings, drain) as services,
        shown_usages(store, accounts),
    ):
        await serve(services, settings, ready=store.check, drain=drain)


def main() -> None:
    """Serve until asked to stop; exits with 1 and one line when it cannot begin."""
    settings = ConversationSettings()
    configure_logging(settings)
    try:
        run(_serve(settings))
    except (AccountsInvalid, ForeignTables, MigrationBusy, UnknownDatabase) as error:
        sys.exit(f"conversation-service cannot start: {error}")


if __name__ == "__main__":
    main()
