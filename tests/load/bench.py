"""Measures the mesh and prints ratios of one run: `make bench`, or `python tests/load/bench.py --quick`."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# gRPC must not mind that this process, which also calls, starts others.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "deploy" / "local")]

import uvloop  # noqa: E402
from figures import machine  # noqa: E402
from small_rounds import measure_analysis, measure_core, measure_leases  # noqa: E402
from stack import sqlite_url  # noqa: E402
from support.postgres import running_postgres  # noqa: E402
from turn_rounds import measure_turns  # noqa: E402
from webhook_rounds import Plan, measure_webhooks  # noqa: E402

PLANS = {
    "full": Plan(rounds=5, seconds=2.5, paced_seconds=6.0, turns_together=64, calls=300, idle_chats=100_000),
    "quick": Plan(rounds=2, seconds=0.8, paced_seconds=1.5, turns_together=64, calls=100, idle_chats=10_000),
    "smallest": Plan(rounds=1, seconds=0.2, paced_seconds=0.2, turns_together=4, calls=10, idle_chats=2_000),
}
PARTS = ("webhooks", "postgres", "turns", "small")
# A quick run does without the second database, whose start alone takes seconds.
QUICK_PARTS = ("webhooks", "turns", "small")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="under a minute")
    size.add_argument("--smallest", dest="size", action="store_const", const="smallest", help="only whether it runs")
    parser.add_argument("--rounds", type=int, help="interleaved rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="seconds of a round")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="what to measure")
    parser.add_argument("--keep", action="store_true", help="keep logs and databases, and say where")
    parser.set_defaults(size="full")
    return parser.parse_args(given)


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = PLANS[arguments.size]
    return replace(plan, rounds=arguments.rounds or plan.rounds, seconds=arguments.seconds or plan.seconds)


async def _on_postgres(folder: Path, plan: Plan) -> tuple[str, int]:
    with ExitStack() as stack:
        # What it commits survives a crash, as it would in production.
        cluster = await asyncio.to_thread(stack.enter_context, running_postgres(is_durable=True))
        return await measure_webhooks(folder, "PostgreSQL", cluster.make_database("mesh_load"), plan)


async def _part(name: str, folder: Path, plan: Plan) -> int:
    failed = 0
    if name == "webhooks":
        shown, failed = await measure_webhooks(folder, "SQLite", sqlite_url(folder), plan)
    elif name == "postgres":
        shown, failed = await _on_postgres(folder, plan)
    elif name == "turns":
        shown, failed = await measure_turns(folder, plan)
    else:
        analysis = await measure_analysis(folder / "intent", plan)
        shown = "\n\n".join((analysis, await measure_core(), await measure_leases(folder / "leases", plan)))
    print(f"\n{shown}", flush=True)
    return failed


async def _main(arguments: argparse.Namespace, folder: Path) -> int:
    plan = _plan(arguments)
    begin = time.monotonic()
    print(machine())
    print(
        f"bench: {plan.rounds} interleaved rounds of {plan.seconds:g} s a side; medians of the rounds with "
        "(least..most); the load generator shares the cores",
        flush=True,
    )
    parts = arguments.parts or (PARTS if arguments.size == "full" else QUICK_PARTS)
    failed = sum([await _part(name, folder / name, plan) for name in PARTS if name in parts])
    print(f"\nbench: {time.monotonic() - begin:.0f} s in all, {failed} failed")
    return 1 if failed else 0


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line names, print it, and return 1 when a request failed."""
    arguments = _arguments(given)
    folder = Path(tempfile.mkdtemp(prefix="mesh-bench-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_main(arguments, folder))
    finally:
        if arguments.keep:
            print(f"bench: logs and databases are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
