"""What happens around every call: deadlines, errors, logs and metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc.aio import AioRpcError, ClientCallDetails
from grpc_status import rpc_status

from kommomesh_runtime import telemetry
from kommomesh_runtime.deadline import budget, call_timeout
from kommomesh_runtime.errors import DeadlineExceeded, MeshError, RemoteError
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.status import DependencyUnavailable, decode, encode

QUIET_PREFIXES = ("/grpc.health.", "/grpc.reflection.")

log = get_logger()


class InternalError(MeshError):
    """A bug of ours; the caller learns no more than that."""


def translate(error: Exception) -> MeshError:
    """Return the error that the caller sees for anything that a servicer raised."""
    if isinstance(error, MeshError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded()
    if isinstance(error, RemoteError) and error.is_transient:
        return DependencyUnavailable(retry_after=error.retry_after)
    return InternalError()


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Notes the deadline, turns errors into statuses, logs one line and measures, for every unary call."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return the handler with all that around it; other kinds of calls pass as they are."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or method.startswith(QUIET_PREFIXES):
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _around(handler.unary_unary, method), handler.request_deserializer, handler.response_serializer
        )


def _around(behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
    in_flight = telemetry.RPC_SERVER_IN_FLIGHT

    async def serve(request: Any, context: grpc.aio.ServicerContext) -> Any:
        started = time.perf_counter()
        code = "OK"
        in_flight.inc()
        try:
            with budget(context.time_remaining()):
                return await behaviour(request, context)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            shown = translate(error)
            code = shown.code
            if code == "INTERNAL":
                log.exception("rpc.failed", method=method)
            await _abort(context, shown)
        finally:
            in_flight.dec()
            _finished(method, code, time.perf_counter() - started)

    return serve


async def _abort(context: grpc.aio.ServicerContext, error: MeshError) -> None:
    status = rpc_status.to_status(encode(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _finished(method: str, code: str, seconds: float) -> None:
    telemetry.RPC_SERVER_SECONDS.labels(method, code).observe(seconds)
    if code == "OK":
        log.debug("rpc.finished", method=method, code=code, seconds=round(seconds, 4))
    else:
        log.info("rpc.finished", method=method, code=code, seconds=round(seconds, 4))


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method


class ClientInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives every call a timeout, decodes its error and measures it.

    Args:
        limit_seconds: the most that one call may take.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds

    def _with_timeout(self, details: ClientCallDetails) -> ClientCallDetails:
        limit = self._limit_seconds if details.timeout is None else details.timeout
        return ClientCallDetails(
            details.method, call_timeout(limit), details.metadata, details.credentials, details.wait_for_ready
        )

    async def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> Any:
        """Return the answer.

        Raises:
            RemoteError: the callee answered an error, or could not be reached in time.
        """
        details = self._with_timeout(client_call_details)
        started = time.perf_counter()
        code = "OK"
        try:
            call = await continuation(details, request)
            return await call
        except AioRpcError as error:
            remote = decode(error)
            code = remote.code
            raise remote from None
        except asyncio.CancelledError:
            code = "CANCELLED"
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # A server that stops may cancel a call that it never began: nobody here asked for that.
            raise RemoteError("UNAVAILABLE", message="the call was cancelled by the server") from None
        finally:
            telemetry.RPC_CLIENT_SECONDS.labels(_text(details.method), code).observe(time.perf_counter() - started)
