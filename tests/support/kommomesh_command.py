"""The command `kommomesh` as people run it."""

import asyncio
import os
import sys
from pathlib import Path

KOMMOMESH = Path(sys.executable).parent / "kommomesh"


async def kommomesh(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the command and return its exit code and what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_"))}
    process = await asyncio.create_subprocess_exec(
        KOMMOMESH,
        *arguments,
        env={**clean, "COLUMNS": "200", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(180):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
