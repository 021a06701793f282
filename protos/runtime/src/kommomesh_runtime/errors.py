"""Errors that a caller may handle; pure, without any gRPC import."""

from collections.abc import Mapping
from typing import Self

TRANSIENT_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})


class MeshError(Exception):
    """An error with a reason of `common.v1.ErrorReason` and the metadata that its text mentions.

    Args:
        retry_after: seconds after which a repeat may succeed; None when a repeat is of no use.
        metadata: values for the placeholders of `text`.
    """

    code = "INTERNAL"
    reason = "INTERNAL"
    text = "internal error"

    def __init__(self, *, retry_after: float | None = None, **metadata: str) -> None:
        super().__init__(self.text.format_map(metadata))
        self.metadata: Mapping[str, str] = metadata
        self.retry_after = retry_after


class InvalidArgument(MeshError):
    """A field of the request is missing or wrong."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_FIELD"
    text = "invalid request: {field}: {problem}"

    @property
    def violations(self) -> Mapping[str, str]:
        """Problem by field."""
        return {self.metadata["field"]: self.metadata["problem"]}

    @classmethod
    def of(cls, violations: Mapping[str, str]) -> Self:
        """Return the error for the first of several wrong fields."""
        field, problem = next(iter(violations.items()))
        return cls(field=field, problem=problem)


class NotFound(MeshError):
    """What the request names does not exist."""

    code = "NOT_FOUND"


class AlreadyExists(MeshError):
    """What the request would make exists."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(MeshError):
    """The state has to change first."""

    code = "FAILED_PRECONDITION"


class ResourceExhausted(MeshError):
    """A limit is reached; wait."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(MeshError):
    """Not now; try again with the same ids."""

    code = "UNAVAILABLE"


class PermissionDenied(MeshError):
    """The caller may not do that."""

    code = "PERMISSION_DENIED"


class DeadlineExceeded(MeshError):
    """The caller's time ended before the work did."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"
    text = "the deadline ended before the work did"


class RemoteError(Exception):
    """What another service answered instead of a result.

    Args:
        code: name of the gRPC status, such as `NOT_FOUND`.
        reason: name of the `ErrorReason`; empty when the status carried none.
        metadata: the metadata of that reason.
        message: text of the status.
        retry_after: seconds after which a repeat may succeed, where the status said so.
    """

    def __init__(
        self,
        code: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        message: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code} {reason} {message}".strip())
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = metadata or {}
        self.message = message
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in TRANSIENT_CODES
