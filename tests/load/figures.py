"""Figures of rounds: medians, spreads, percentiles and the tables that show them."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from load_client import Load


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds and how far they lie apart."""

    middle: float
    least: float
    most: float

    def shown(self, form: Callable[[float], str]) -> str:
        """Return it for people: the median, and least..most in brackets."""
        return f"{form(self.middle)} ({form(self.least)}..{form(self.most)})"


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values (0 to 1) do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Side:
    """What the rounds of one of two things that are compared measured."""

    name: str
    loads: list[Load] = field(default_factory=list)
    cpu_by_process: list[dict[str, float]] = field(default_factory=list)

    def add(self, load: Load, cpu_seconds: Mapping[str, float]) -> None:
        """Add a round and the CPU time that each server process used in it."""
        self.loads.append(load)
        exchanges = max(1, len(load.latencies))
        self.cpu_by_process.append({name: used / exchanges for name, used in cpu_seconds.items()})

    @property
    def cpu_each(self) -> list[float]:
        """CPU seconds an exchange, of each round."""
        return [sum(used.values()) for used in self.cpu_by_process]

    @property
    def rates(self) -> list[float]:
        """Exchanges a second, of each round."""
        return [load.per_second for load in self.loads]

    @property
    def failed(self) -> int:
        """Exchanges that failed, in all rounds."""
        return sum(load.failed for load in self.loads)

    @property
    def latencies(self) -> list[float]:
        """Latencies of all rounds, in seconds."""
        return [one for load in self.loads for one in load.latencies]

    def row(self) -> list[str]:
        """Return its row of a table."""
        return [
            self.name,
            spread(self.rates).shown(lambda rate: f"{rate:,.0f}"),
            *latency_cells(self.latencies),
            f"{median(self.cpu_each) * 1000:.2f}",
            str(len(self.latencies)),
            str(self.failed),
        ]


def cpu_line(side: Side) -> str:
    """Return a line about the CPU time that an exchange costs in each process."""
    shown = (
        f"{name} {median(used[name] for used in side.cpu_by_process) * 1000:.2f}" for name in side.cpu_by_process[0]
    )
    return f"  CPU ms each, {side.name}: {', '.join(shown)}"


HEADINGS = ["", "per second", "p50 ms", "p99 ms", "CPU ms each", "measured", "failed"]


def latency_cells(latencies: Sequence[float]) -> list[str]:
    """Return the median and the 99th percentile, in milliseconds."""
    return [f"{percentile(latencies, share) * 1000:.1f}" for share in (0.5, 0.99)]


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Return the spread of the ratios of rounds that were measured beside each other."""
    return spread([one / other if other else 0.0 for one, other in zip(above, below, strict=True)])


def ratio_line(name: str, found: Spread, targets: str) -> str:
    """Return a line about a ratio, with the targets of the project."""
    return f"  {name}: {found.shown(lambda value: f'{value:.2f}')}   {targets}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with columns that stand below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        for cells in ([*zip(row, widths, strict=True)] for row in rows)
    )
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def machine() -> str:
    """Return one line about the machine."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return (
        f"machine: {len(os.sched_getaffinity(0))} cores, {model}; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}; load average before {os.getloadavg()[0]:.1f}"
    )
