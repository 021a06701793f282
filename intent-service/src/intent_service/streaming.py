"""What a stream of requests needs: groups of what has come, and typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import grpc
from grpc_status import rpc_status

from kommomesh_runtime.interceptors import translate
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.status import encode

log = get_logger()

Item = TypeVar("Item")


async def in_groups(items: AsyncIterable[Item], most: int) -> AsyncIterator[list[Item]]:
    """Yield what has come since the last group: at least one item, at most `most`; reads no further ahead than that."""
    ready: asyncio.Queue[Item] = asyncio.Queue(most)
    reader = asyncio.create_task(_read(items, ready))
    try:
        while not (reader.done() and ready.empty()):
            group = await _next_group(ready, reader, most)
            if group:
                yield group
        await reader
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def _read(items: AsyncIterable[Item], ready: asyncio.Queue[Item]) -> None:
    async for item in items:
        await ready.put(item)


async def _next_group(ready: asyncio.Queue[Item], reader: asyncio.Task[None], most: int) -> list[Item]:
    if ready.empty():
        waiting = asyncio.create_task(ready.get())
        await asyncio.wait((waiting, reader), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            return []
        group = [waiting.result()]
    else:
        group = []
    while len(group) < most and not ready.empty():
        group.append(ready.get_nowait())
    return group


@asynccontextmanager
async def typed_errors(context: grpc.aio.ServicerContext, method: str) -> AsyncIterator[None]:
    """End the call with the status of whatever is raised inside, as unary calls do."""
    try:
        yield
    except Exception as error:
        shown = translate(error)
        if shown.code == "INTERNAL":
            log.exception("rpc.failed", method=method)
        status = rpc_status.to_status(encode(shown))
        await context.abort(status.code, status.details, status.trailing_metadata)
