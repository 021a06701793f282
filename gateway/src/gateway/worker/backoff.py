"""How long to wait before something is tried again; pure."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from kommomesh_runtime.parsing import to_time

LEAST_LEASE_SECONDS = 5.0


def backoff_seconds(failures: int, draw: float, *, first: float = 0.2, most: float = 5.0) -> float:
    """Return a pause that doubles with each failure, somewhere in the upper half of its range.

    Args:
        failures: failures in a row, from 1.
        draw: random number, 0 to 1.
        first: upper end after the first failure, in seconds.
        most: upper end after many, in seconds.
    """
    upper = min(most, first * 2.0 ** min(failures - 1, 30))
    return upper * (0.5 + draw / 2)


def put_off_seconds(waited: float, wait_seconds: float, draw: float, asked: float | None = None) -> float | None:
    """Return when a turn is to come back whose dependency is down; None when it has waited long enough.

    The pause grows with the time waited, since a turn that is given back keeps no count of its attempts.

    Args:
        waited: seconds since the oldest message arrived.
        wait_seconds: how long a message may wait for a dependency.
        draw: random number, 0 to 1.
        asked: seconds that the dependency itself asked for.
    """
    left = wait_seconds - max(0.0, waited)
    if left <= 0:
        return None
    grown = min(30.0, max(1.0, waited / 4)) * (0.75 + draw / 2)
    return min(max(grown, asked or 0.0), max(left, 0.5), 300.0)


def lease_seconds(expires: Timestamp, now: datetime) -> float:
    """Return how long a lease lasts yet, never less than a few seconds.

    The lease ends by the database's clock. A worker whose clock is ahead still has to try: whoever is late is
    refused by the fence.
    """
    ends_at = to_time(expires)
    return LEAST_LEASE_SECONDS if ends_at is None else max(LEAST_LEASE_SECONDS, (ends_at - now).total_seconds())
