"""Errors, deadlines, retries and stopping, between a real server and a real client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kommomesh.conversation.v1 import conversation_service_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as pb_grpc
from kommomesh_runtime.channel import open_channel, retryable_methods
from kommomesh_runtime.deadline import budget, time_left
from kommomesh_runtime.errors import FailedPrecondition, InvalidArgument, RemoteError, ResourceExhausted
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

NAME = "kommomesh.conversation.v1.ConversationService"
SETTINGS = ServerSettings(drain_seconds=0, grace_seconds=1)


class Escalated(FailedPrecondition):
    """Peer's own error."""

    reason = "CONVERSATION_ESCALATED"
    text = "conversation {conversation_id} has a person"


class Full(ResourceExhausted):
    """Peer's own limit."""

    reason = "OVERLOADED"
    text = "full"


class Peer(pb_grpc.ConversationServiceServicer):
    """Does what the test says when asked for a conversation."""

    def __init__(self) -> None:
        self.calls = 0
        self.behave: Callable[[], Awaitable[None]] = self.nothing

    async def nothing(self) -> None:
        """Answer at once."""

    async def GetConversation(
        self, request: pb.GetConversationRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetConversationResponse:
        self.calls += 1
        await self.behave()
        return pb.GetConversationResponse()


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
async def stub(peer: Peer) -> AsyncIterator[pb_grpc.ConversationServiceStub]:
    service = Service(NAME, partial(pb_grpc.add_ConversationServiceServicer_to_server, peer))
    async with (
        running_server([service], SETTINGS) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=[NAME], limit_seconds=5) as channel,
    ):
        yield pb_grpc.ConversationServiceStub(channel)


async def caught(stub: pb_grpc.ConversationServiceStub) -> RemoteError:
    with pytest.raises(RemoteError) as found:
        await stub.GetConversation(pb.GetConversationRequest())
    return found.value


async def test_given_typed_error_when_raised_then_caller_sees_code_reason_and_metadata(stub, peer):
    async def behave() -> None:
        raise Escalated(conversation_id="c1")

    peer.behave = behave
    error = await caught(stub)
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "CONVERSATION_ESCALATED")
    assert error.metadata == {"conversation_id": "c1"}
    assert error.message == "conversation c1 has a person"
    assert not error.is_transient


async def test_given_wrong_field_when_refused_then_status_names_the_field(stub, peer):
    async def behave() -> None:
        raise InvalidArgument(field="text", problem="is required")

    peer.behave = behave
    error = await caught(stub)
    assert (error.code, error.metadata["field"]) == ("INVALID_ARGUMENT", "text")


async def test_given_retry_after_when_refused_then_caller_learns_how_long(stub, peer):
    async def behave() -> None:
        raise Full(retry_after=1.5)

    peer.behave = behave
    error = await caught(stub)
    assert (error.code, error.retry_after) == ("RESOURCE_EXHAUSTED", 1.5)
    assert error.is_transient


async def test_given_bug_when_it_raises_then_caller_learns_nothing_of_it(stub, peer):
    async def behave() -> None:
        raise ZeroDivisionError("secret text")

    peer.behave = behave
    error = await caught(stub)
    assert (error.code, error.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in str(error)


async def test_given_unavailable_callee_when_not_handled_then_unavailable_and_not_its_not_found(stub, peer):
    async def unavailable() -> None:
        raise RemoteError("UNAVAILABLE")

    async def not_found() -> None:
        raise RemoteError("NOT_FOUND", "CONVERSATION_NOT_FOUND")

    peer.behave = not_found
    assert (await caught(stub)).code == "INTERNAL"
    peer.behave = unavailable
    assert (await caught(stub)).code == "UNAVAILABLE"


async def test_given_method_marked_harmless_when_unavailable_then_channel_repeats_it(stub, peer):
    async def behave() -> None:
        if peer.calls < 2:
            raise RemoteError("UNAVAILABLE")

    peer.behave = behave
    await stub.GetConversation(pb.GetConversationRequest())
    assert peer.calls == 2


async def test_given_budget_when_calling_then_callee_has_less_time_than_that(stub, peer):
    seen: list[float | None] = []

    async def behave() -> None:
        seen.append(time_left())

    peer.behave = behave
    with budget(2.0):
        await stub.GetConversation(pb.GetConversationRequest())
    assert seen[0] is not None
    assert 0 < seen[0] < 2.0


async def test_given_silent_callee_when_budget_ends_then_deadline_exceeded(stub, peer):
    peer.behave = asyncio.Event().wait
    with budget(0.2):
        assert (await caught(stub)).code == "DEADLINE_EXCEEDED"


async def test_given_cancelled_caller_when_waiting_then_cancellation_passes_through(stub, peer):
    entered = asyncio.Event()

    async def behave() -> None:
        entered.set()
        await asyncio.Event().wait()

    peer.behave = behave
    call = asyncio.ensure_future(stub.GetConversation(pb.GetConversationRequest()))
    await entered.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_given_nobody_listening_when_called_then_unavailable():
    async with open_channel("dns:///127.0.0.1:1", services=[NAME], limit_seconds=2) as channel:
        error = await caught(pb_grpc.ConversationServiceStub(channel))
    assert error.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert error.is_transient


async def test_given_call_in_flight_when_server_stops_then_it_finishes_and_drain_is_told(peer):
    entered, release = asyncio.Event(), asyncio.Event()

    async def behave() -> None:
        entered.set()
        await release.wait()

    peer.behave = behave
    service = Service(NAME, partial(pb_grpc.add_ConversationServiceServicer_to_server, peer))
    drain = asyncio.Event()
    serving = running_server([service], SETTINGS, drain=drain)
    server = await serving.__aenter__()
    async with open_channel(f"dns:///127.0.0.1:{server.port}", services=[NAME]) as channel:
        stub = pb_grpc.ConversationServiceStub(channel)
        call = asyncio.ensure_future(stub.GetConversation(pb.GetConversationRequest()))
        await entered.wait()
        stopping = asyncio.create_task(serving.__aexit__(None, None, None))
        await drain.wait()
        release.set()
        assert await call == pb.GetConversationResponse()
        await stopping


async def test_given_not_ready_process_when_health_is_asked_then_not_serving_but_alive(peer):
    service = Service(NAME, partial(pb_grpc.add_ConversationServiceServicer_to_server, peer))

    async def ready() -> bool:
        return False

    async with (
        running_server([service], SETTINGS, ready=ready) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        states = [
            (await health.Check(health_pb2.HealthCheckRequest(service=name))).status
            for name in ("liveness", "readiness", NAME)
        ]
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert states == [serving, not_serving, not_serving]


async def test_given_readiness_that_fails_when_it_answers_again_then_the_process_serves_again(peer):
    service = Service(NAME, partial(pb_grpc.add_ConversationServiceServicer_to_server, peer))
    answers = [True, RuntimeError("a bug"), True]

    async def ready() -> bool:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with (
        running_server([service], SETTINGS, ready=ready) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        seen = []
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="readiness"))
        async with asyncio.timeout(60):
            async for answer in watching:
                seen.append(answer.status)
                if seen[-3:] == [serving, not_serving, serving]:
                    break
        watching.cancel()
    assert answers == [True]


async def test_given_second_process_on_a_port_when_it_starts_then_it_fails(peer):
    async with running_server([], SETTINGS) as server:
        with pytest.raises(RuntimeError):
            async with running_server([], SETTINGS.model_copy(update={"port": server.port})):
                pass


def test_given_contract_when_asked_then_only_harmless_methods_are_retried():
    from kommomesh.conversation.v1 import turn_service_pb2  # noqa: F401 - registers the descriptors

    assert "IngestMessages" in retryable_methods(NAME)
    assert "LeaseTurns" not in retryable_methods("kommomesh.conversation.v1.TurnService")
