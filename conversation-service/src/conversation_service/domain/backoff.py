"""How long a failed delivery waits for its next attempt."""

FIRST_SECONDS = 1.0
MAXIMUM_SECONDS = 60.0


def backoff_seconds(attempt: int, jitter: float, *, at_least: float = 0.0) -> float:
    """Return the seconds until the next attempt: doubling, spread out, never under `at_least`.

    Args:
        attempt: attempts made so far, from 1.
        jitter: a random number, 0 to 1; equal jitter, so that half of the delay always stands.
        at_least: seconds that the receiver asked for; the jitter comes on top, so that not all return at once.
    """
    whole = min(MAXIMUM_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 16))
    delay = whole / 2 * (1 + jitter)
    if delay >= at_least:
        return delay
    return at_least + FIRST_SECONDS / 2 * jitter
