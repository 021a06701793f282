"""Asks whether conversation-service serves, not more often than needed."""

import asyncio
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kommomesh_runtime.errors import RemoteError

CONVERSATION_SERVICE = "kommomesh.conversation.v1.ConversationService"
KEPT_SECONDS = 1.0
CALL_SECONDS = 1.0


class PeerHealth:
    """The state of conversation-service, asked over gRPC and kept for a second.

    Args:
        channel: channel to it.
        clock: seconds that only grow.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Callable[[], float]) -> None:
        self._stub = health_pb2_grpc.HealthStub(channel)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._state = "unknown"
        self._asked_at = float("-inf")

    async def state(self) -> str:
        """Return `serving`, `not_serving` or `unreachable`."""
        async with self._lock:
            if self._clock() - self._asked_at > KEPT_SECONDS:
                self._state = await self._ask()
                self._asked_at = self._clock()
            return self._state

    async def _ask(self) -> str:
        request = health_pb2.HealthCheckRequest(service=CONVERSATION_SERVICE)
        try:
            response = await self._stub.Check(request, timeout=CALL_SECONDS)
        except RemoteError:
            return "unreachable"
        serving = response.status == health_pb2.HealthCheckResponse.SERVING
        return "serving" if serving else "not_serving"
