"""Starts llm-service: settings, knowledge, model, servicers."""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from kommomesh.llm.v1 import knowledge_service_pb2_grpc as knowledge_grpc
from kommomesh.llm.v1 import reply_service_pb2_grpc as reply_grpc
from kommomesh_runtime.accounts import load_accounts
from kommomesh_runtime.logs import configure_logging, get_logger
from kommomesh_runtime.server import Service, run, serve
from llm_service.adapters.chat_model import CallLimits, open_chat_model
from llm_service.adapters.encoder import shipped_encoder
from llm_service.adapters.library import Library, shipped_guards, shipped_wordings
from llm_service.classifying import IntentModel, MessageClassifier
from llm_service.model_replies import ModelWriter, WriterSettings
from llm_service.servicer import KNOWLEDGE_SERVICE, REPLY_SERVICE, KnowledgeServicer, ReplyServicer
from llm_service.settings import LlmSettings
from llm_service.use_cases import ReplyWriter

log = get_logger()


def services(library: Library, writer: ReplyWriter, intents: IntentModel | None = None) -> tuple[Service, ...]:
    """Return the services of this process, bound to its knowledge, its writer and the model that sorts messages."""
    reply, knowledge = ReplyServicer(writer, MessageClassifier(library, intents)), KnowledgeServicer(library)
    return (
        Service(REPLY_SERVICE, partial(reply_grpc.add_ReplyServiceServicer_to_server, reply)),
        Service(KNOWLEDGE_SERVICE, partial(knowledge_grpc.add_KnowledgeServiceServicer_to_server, knowledge)),
    )


@asynccontextmanager
async def model_writer(settings: LlmSettings) -> AsyncIterator[ModelWriter | None]:
    """Open what writes with a model; None where no key is set."""
    key = settings.openai_api_key.get_secret_value()
    if not key:
        yield None
        return
    limits = CallLimits(
        settings.model_timeout_seconds,
        settings.model_max_retries,
        settings.model_max_tokens,
        settings.model_temperature,
    )
    models = tuple(name for name in (settings.openai_model_chat, settings.openai_model_fast) if name)
    wanted = WriterSettings(tuple(dict.fromkeys(models)), settings.reply_seconds, settings.max_history_messages)
    async with open_chat_model(key, settings.openai_base_url, limits, random.random) as chat:
        yield ModelWriter(chat, wanted, shipped_wordings(), shipped_guards(), partial(secrets.token_hex, 8))


@asynccontextmanager
async def intent_model(settings: LlmSettings) -> AsyncIterator[IntentModel | None]:
    """Open what sorts messages with a model; None where no key is set."""
    key = settings.openai_api_key.get_secret_value()
    if not key:
        yield None
        return
    limits = CallLimits(settings.classify_seconds, 0, settings.classify_max_tokens, 0.0)
    async with open_chat_model(key, settings.openai_base_url, limits, random.random) as chat:
        yield IntentModel(chat, settings.openai_model_fast or settings.openai_model_chat, settings.classify_seconds)


async def main() -> None:
    """Serve until the process is asked to stop."""
    settings = LlmSettings()
    configure_logging(settings)
    library = Library(load_accounts(settings.accounts_dir, os.environ), shipped_encoder())
    await library.refresh()

    async def ready() -> bool:
        return library.is_loaded

    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(model_writer(settings))
        intents = await stack.enter_async_context(intent_model(settings))
        log.info("writer.chosen", writer="model" if model else "business-data")
        watcher = asyncio.create_task(library.watch(settings.reload_seconds))
        try:
            await serve(services(library, ReplyWriter(library, model), intents), settings, ready=ready)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher


if __name__ == "__main__":
    run(main())
