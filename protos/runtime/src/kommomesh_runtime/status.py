"""The mapping between errors and gRPC statuses, both ways, written once."""

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kommomesh_runtime.errors import InvalidArgument, MeshError, RemoteError, ResourceExhausted, Unavailable

ERROR_DOMAIN = "kommomesh"


class Overloaded(ResourceExhausted):
    """The service is at its limit of calls."""

    reason = "OVERLOADED"
    text = "too many calls at once"


class DependencyUnavailable(Unavailable):
    """A service that the call needs cannot be reached."""

    reason = "STORAGE_UNAVAILABLE"
    text = "a service that the call needs cannot be reached"


def _details(error: MeshError) -> list[any_pb2.Any]:
    messages: list[object] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=dict(error.metadata))
    ]
    if isinstance(error, InvalidArgument):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=problem)
            for field, problem in error.violations.items()
        ]
        messages.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        messages.append(retry)
    packed = []
    for message in messages:
        detail = any_pb2.Any()
        detail.Pack(message)  # type: ignore[arg-type]  # the list mixes message types
        packed.append(detail)
    return packed


def encode(error: MeshError) -> status_pb2.Status:
    """Return the status that carries `error` over the wire."""
    code = code_pb2.Code.Value(error.code)
    return status_pb2.Status(code=code, message=str(error), details=_details(error))


def _retry_after(details: list[any_pb2.Any]) -> float | None:
    retry = error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(retry):
            return float(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
    return None


def decode(error: grpc.RpcError) -> RemoteError:
    """Return what a callee answered as an error of ours."""
    code = error.code().name
    message = error.details() or ""
    status = rpc_status.from_call(error)
    if status is None:
        return RemoteError(code, message=message)
    info = error_details_pb2.ErrorInfo()
    reason, metadata = "", {}
    for detail in status.details:
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
    return RemoteError(code, reason, metadata, status.message, _retry_after(list(status.details)))
