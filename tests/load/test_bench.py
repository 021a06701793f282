"""The benchmark runs, prints its figures, and every request of it succeeds; no time is judged."""

import asyncio
import re
import sys
from pathlib import Path

BENCH = Path(__file__).parent / "bench.py"
FIGURES = (
    "machine: ",
    "without a store",
    "stored in SQLite",
    "stored ÷ without a store: ",
    "at half of the maximum rate",
    "the same in one process",
    "mesh of six processes",
    "turns a second, mesh ÷ one process: ",
    "CPU a turn, mesh ÷ one process: ",
    "AnalyzeMessage over gRPC",
    "lease, 2,000 ÷ 1,000 idle",
    "empty poll, 2,000 ÷ 1,000 idle",
)


async def test_given_smallest_run_when_measured_then_its_figures_are_printed_and_nothing_failed():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(BENCH),
        "--smallest",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    assert [figure for figure in FIGURES if figure not in printed] == [], printed
    assert re.search(r"^bench: \d+ s in all, 0 failed$", printed, re.M), printed
