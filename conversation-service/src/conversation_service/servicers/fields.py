"""What turns and deliveries ask of the fields of their requests."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import require_text, to_seconds

MOST_LEASES = 64
LONGEST_WAIT_SECONDS = 20.0
MAX_WORKER_ID = 255


def lease_count(field: str, value: int) -> int:
    """Return how many leases are wanted at most.

    Raises:
        InvalidArgument: it is not 1 to 64.
    """
    if not 1 <= value <= MOST_LEASES:
        raise InvalidArgument(field=field, problem=f"must be 1 to {MOST_LEASES}")
    return value


def bounded_seconds(field: str, value: Duration, maximum: float) -> float:
    """Return a duration in seconds.

    Raises:
        InvalidArgument: it is negative or above `maximum` seconds.
    """
    seconds = to_seconds(value)
    if not 0 <= seconds <= maximum:
        raise InvalidArgument(field=field, problem=f"must be 0 to {maximum:g} s")
    return seconds


def bounded_text(field: str, value: str, maximum: int) -> str:
    """Return a text that may be empty, as the database can keep it.

    Raises:
        InvalidArgument: it has more than `maximum` characters.
    """
    if len(value) > maximum:
        raise InvalidArgument(field=field, problem=f"must have at most {maximum} characters")
    return value.replace("\x00", "")


def required_text(field: str, value: str, maximum: int) -> str:
    """Return a text that is not empty, as the database can keep it.

    Raises:
        InvalidArgument: it is empty, blank or has more than `maximum` characters.
    """
    return require_text(field, value.replace("\x00", ""), maximum=maximum)


def enum_names(values: Iterable[tuple[str, int]], prefix: str) -> dict[int, str]:
    """Return the public names of an enum's values by number, without the one for unspecified."""
    return {number: name.removeprefix(prefix).lower() for name, number in values if number}
