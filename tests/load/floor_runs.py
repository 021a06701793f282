"""Races people against replies in flight in random runs, and prints what was seen: `make floor-runs N=1000 SEED=1`."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

import structlog  # noqa: E402
from support.floor_line import Shift  # noqa: E402
from support.floor_rounds import Round, play_runs  # noqa: E402
from support.postgres import running_postgres  # noqa: E402

from conversation_service.adapters.open_store import open_store  # noqa: E402
from conversation_service.migrate import migrate  # noqa: E402


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs on SQLite (default: %(default)s)")
    parser.add_argument("--postgres", type=int, default=None, help="runs on PostgreSQL (default: a tenth of them)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run; the next ones count on")
    return parser.parse_args(given)


async def _play(url: str, seeds: range, *, at_once: bool) -> Round:
    await migrate(url)
    shift = Shift()
    async with open_store(url, acquire_seconds=30, limit_seconds=60, shift=shift.read) as store:
        return await play_runs(store, shift, seeds, at_once=at_once)


def _show(name: str, played: Round, seconds: float) -> None:
    print(f"{name}: {len(played.seeds)} runs, seeds {played.seeds.start} to {played.seeds.stop - 1}, {seconds:.0f} s")
    for figure, number in played.shown().items():
        print(f"  {figure:<58} {number:>7}")
    for seed, violation in played.violations:
        print(f"  VIOLATION in run {seed}: {violation}")


def main(given: Sequence[str] | None = None) -> int:
    """Play the runs and return the exit code: 1 where something was seen that must not be."""
    arguments = _arguments(given)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    others = arguments.runs // 10 if arguments.postgres is None else arguments.postgres
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    played = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        played.append(asyncio.run(_play(f"sqlite:///{folder}/mesh.db", seeds, at_once=False)))
        _show("SQLite, one step after the other in the order drawn", played[-1], time.monotonic() - began)
    if others:
        with running_postgres() as cluster:
            began, url = time.monotonic(), cluster.make_database("floor_runs")
            others_seeds = range(arguments.seed, arguments.seed + others)
            played.append(asyncio.run(_play(url, others_seeds, at_once=True)))
            _show("PostgreSQL, everybody at once", played[-1], time.monotonic() - began)
    return 1 if any(one.violations for one in played) else 0


if __name__ == "__main__":
    sys.exit(main())
