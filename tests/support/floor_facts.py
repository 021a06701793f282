"""What was seen in a random run, in the order in which it was stored, and what of it must not be."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

from conversation_service.domain.deliveries import START_WITHIN, DeliveryKind


@dataclass(eq=False, slots=True)
class Mark:
    """When a call began and when it had ended, by a counter that only rises."""

    ticks: "count[int]"
    begun: int = 0
    ended: int | None = None

    def end(self) -> None:
        """Say that the call has ended; the first word counts."""
        if self.ended is None:
            self.ended = next(self.ticks)

    def is_before(self, other: "Mark") -> bool:
        """Tell whether this call had ended before the other one began."""
        return self.ended is not None and self.ended < other.begun


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the floor: a person took it or was called (`to_person`), or the bot got it back."""

    mark: Mark
    act: str
    to_person: bool
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A message that Kommo took: under which lease, when it was begun, and both by the store's clock."""

    delivery_id: UUID
    turn_id: UUID | None
    kind: DeliveryKind
    lease: Mark
    start: Mark
    leased_at: datetime
    started_at: datetime


@dataclass(slots=True)
class Facts:
    """The facts of one run.

    Args:
        written: for each turn, when it was leased and when its outcome was stored.
        floor: changes of the floor.
        started: messages that Kommo took.
        violations: what must not be, in words.
    """

    written: dict[UUID, tuple[Mark, Mark]] = field(default_factory=dict)
    floor: list[Change] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _ticks: "count[int]" = field(default_factory=count)

    def begin(self) -> Mark:
        """Return the mark of a call that begins now."""
        return Mark(self._ticks, next(self._ticks))

    def taken(self, mark: Mark, act: str) -> None:
        """Note that a person has taken the floor."""
        self._change(Change(mark, act, to_person=True))

    def called(self, mark: Mark, act: str) -> None:
        """Note that a person was called."""
        self._change(Change(mark, act, to_person=True, is_call=True))

    def given_back(self, mark: Mark, act: str) -> None:
        """Note that the bot got the floor back."""
        self._change(Change(mark, act, to_person=False))

    def wrote(self, turn_id: UUID, leased: Mark, completed: Mark) -> None:
        """Note that a turn's outcome is stored."""
        completed.end()
        self.written[turn_id] = (leased, completed)

    def _change(self, change: Change) -> None:
        change.mark.end()
        self.floor.append(change)

    def judge(self) -> None:
        """Look for what must not be."""
        for one in self.started:
            if one.started_at >= one.leased_at + START_WITHIN:
                self.violations.append(f"a {one.kind} started after its limit")
            for change in self.floor:
                if self._forbids(change, one):
                    self.violations.append(f"a {one.kind} was leased after {change.act} was stored")
        for delivery_id, times in Counter(one.delivery_id for one in self.started).items():
            if times > 1:
                self.violations.append(f"delivery {delivery_id} was sent {times} times")

    @property
    def in_flight(self) -> int:
        """How many messages were under way, leased and not begun, when a person took the floor."""
        takes = [change.mark for change in self.floor if change.to_person and not change.is_call]
        return sum(
            any(one.lease.is_before(take) and take.is_before(one.start) for take in takes) for one in self.started
        )

    def _forbids(self, change: Change, one: Started) -> bool:
        """Tell whether a change was stored after the words were begun and before their delivery was leased."""
        begun = self.written.get(one.turn_id) if one.turn_id else None
        if begun is None or not change.mark.is_before(one.lease):
            return False
        leased, completed = begun
        if one.kind is DeliveryKind.NOTICE:
            # Its own escalation calls the person that it speaks of; whatever comes after that silences it.
            return completed.is_before(change.mark) and not change.is_call
        return change.to_person and leased.is_before(change.mark)
