"""Tells the relay of an own channel that a reply is being written: once a turn, and never at its expense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from kommomesh.conversation.v1.turn_service_pb2 import LeasedTurn
from kommomesh.kommo.v1.channel_service_pb2 import ShowTypingRequest
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger

if TYPE_CHECKING:
    from kommomesh.kommo.v1.channel_service_pb2_grpc import ChannelServiceAsyncStub

LIMIT_SECONDS = 3.0

log = get_logger()


@asynccontextmanager
async def typing_shown(
    channels: "ChannelServiceAsyncStub", accounts: Accounts, turn: LeasedTurn
) -> AsyncIterator[None]:
    """Let the client see that a reply is being written while inside; what is under way at the end is broken off."""
    account = accounts.find(turn.conversation.account_id)
    channel = account.channel if account else None
    if channel is None or not channel.relay_url or not channel.owns(turn.conversation.origin):
        yield
        return
    request = ShowTypingRequest(account_id=turn.conversation.account_id, conversation_id=turn.conversation.chat_id)
    task = asyncio.create_task(_show(channels, request), name="typing")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _show(channels: "ChannelServiceAsyncStub", request: ShowTypingRequest) -> None:
    try:
        await channels.ShowTyping(request, timeout=LIMIT_SECONDS)
    except RemoteError as error:
        log.debug("typing.failed", code=error.code)
