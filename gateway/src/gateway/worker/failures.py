"""What an error of another service means for the work that needs it; pure."""

from enum import Enum

from kommomesh_runtime.errors import RemoteError

# A new account reaches the services one after the other.
ACCOUNT_UNKNOWN = "ACCOUNT_NOT_FOUND"
AGAIN_CODES = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})


class Kind(Enum):
    """When the same call may succeed."""

    LATER = "later"
    AGAIN = "again"
    NEVER = "never"


class DependencyFailed(Exception):
    """A service that a turn needs gave no answer.

    Args:
        reason: code such as `intent_unavailable`.
        is_transient: whether waiting may help.
        retry_after: seconds that the service asked for; None when it named none.
    """

    def __init__(self, reason: str, *, is_transient: bool, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.is_transient, self.retry_after = reason, is_transient, retry_after


def kind_of(error: RemoteError) -> Kind:
    """Return when the same call may succeed: later, perhaps at once (a bug met by chance), or never."""
    if error.is_transient or error.code == "CANCELLED" or error.reason == ACCOUNT_UNKNOWN:
        return Kind.LATER
    return Kind.AGAIN if error.code in AGAIN_CODES else Kind.NEVER


def dependency_failed(name: str, error: RemoteError) -> DependencyFailed:
    """Return the failure of the dependency `name`, which answered `error` for the last time."""
    is_transient = kind_of(error) is Kind.LATER
    suffix = "unavailable" if is_transient else "failed"
    return DependencyFailed(f"{name}_{suffix}", is_transient=is_transient, retry_after=error.retry_after)
