"""The steps of a turn, for its trace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kommomesh.conversation.v1.conversation_pb2 import TraceStep
from kommomesh_runtime.parsing import from_seconds


class Steps:
    """Records what a turn did, when and for how long.

    Args:
        clock: returns monotonic seconds; the turn begins now.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin = clock()
        self.done: list[TraceStep] = []

    @contextmanager
    def step(self, name: str) -> Iterator[TraceStep]:
        """Record the work inside as a step, whose note may be set meanwhile; never a person's words."""
        started = self._clock()
        step = TraceStep(name=name, start_offset=from_seconds(started - self._begin))
        try:
            yield step
        finally:
            step.duration.CopyFrom(from_seconds(self._clock() - started))
            self.done.append(step)

    @property
    def seconds(self) -> float:
        """Seconds since the turn began."""
        return self._clock() - self._begin
