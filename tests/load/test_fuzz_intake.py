"""The short form of the fuzz run: nothing is found in a few seconds, and what was done is printed."""

import asyncio
import re
import sys
from pathlib import Path

FUZZ = Path(__file__).parent / "fuzz_intake.py"


async def test_given_hostile_bodies_when_fed_for_a_moment_then_nothing_is_found():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(FUZZ),
        "--seconds",
        "3",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    counted = re.search(r"inputs: \{'form': (\d+), 'json': (\d+), 'posted': (\d+)", printed)
    assert counted, printed
    assert all(int(count) > 0 for count in counted.groups())
    assert len(re.findall(r"grown by -?[0-9.]+ MB", printed)) == 2
