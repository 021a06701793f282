"""Many random runs of the floor, one after the other, and what was seen in all of them."""

from collections import Counter
from dataclasses import dataclass, field

from support.floor_line import Shift
from support.floor_runs import Run

from conversation_service.adapters.store import Store


@dataclass(slots=True)
class Round:
    """What was seen in the runs of some seeds.

    Args:
        seeds: a run each.
        figures: how often what happened.
        violations: what must not be, with the seed of its run.
    """

    seeds: range
    figures: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)

    def shown(self) -> dict[str, int]:
        """Return the figures that matter, in words."""
        seen, judged = self.figures, Counter(violation for _, violation in self.violations)
        return {
            "changes of the floor stored": seen["changes"],
            "messages of the bot that Kommo took": seen["started"],
            "… leased before a person took the floor, begun after it": seen["in flight"],
            "waiting messages dropped because the floor had changed": seen["dropped"],
            "turns that a change of the floor ended": seen["turns floor_changed"],
            "sends refused because their limit was over": seen["too late to start"],
            "own messages reflected, half of them as a person's": seen["echoes"],
            "leased after a change was stored that forbids them": sum(
                number for violation, number in judged.items() if " was leased after " in violation
            ),
            "started later than the limit after the lease": sum(
                number for violation, number in judged.items() if "started after its limit" in violation
            ),
            "other violations (sent twice, never decided, wrong counters …)": sum(
                number
                for violation, number in judged.items()
                if " was leased after " not in violation and "started after its limit" not in violation
            ),
        }


async def play_runs(store: Store, shift: Shift, seeds: range, *, at_once: bool) -> Round:
    """Play a run for each seed in one database, and return what was seen.

    Args:
        store: the database.
        shift: moves its clock.
        seeds: of the runs.
        at_once: see `Run`.
    """
    played = Round(seeds)
    for seed in seeds:
        run = Run(seed, store, shift, at_once=at_once)
        await run.play()
        played.figures += run.figures
        played.figures["started"] += len(run.facts.started)
        played.figures["in flight"] += run.facts.in_flight
        played.figures["changes"] += len(run.facts.floor)
        played.violations += [(seed, violation) for violation in run.facts.violations]
    return played
