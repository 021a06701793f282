"""Whether kommo-service can be reached, as its last answers tell; pure."""

from gateway.worker.backoff import backoff_seconds

DOWN_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
THRESHOLD = 3
FIRST_PAUSE_SECONDS = 1.0
MOST_PAUSE_SECONDS = 10.0


class Circuit:
    """Opens after failures in a row and closes with the first answer.

    While it is open nothing is sent in place and deliveries are leased one by one with growing pauses, so that an
    outage spends few of their attempts.
    """

    def __init__(self) -> None:
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the service seems to be down."""
        return self._failures >= THRESHOLD

    def record(self, code: str) -> None:
        """Note how a call ended.

        Args:
            code: name of the gRPC status, `OK` included.
        """
        self._failures = self._failures + 1 if code in DOWN_CODES else 0

    def pause_seconds(self, draw: float) -> float:
        """Return how long to wait before the next delivery is leased; 0 when the service answers.

        Args:
            draw: random number, 0 to 1.
        """
        if not self.is_open:
            return 0.0
        failures = self._failures - THRESHOLD + 1
        return backoff_seconds(failures, draw, first=2 * FIRST_PAUSE_SECONDS, most=MOST_PAUSE_SECONDS)
