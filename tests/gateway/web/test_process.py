"""The web half as a process of its own: it says its port, answers, and stops cleanly."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest


@asynccontextmanager
async def process(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_"))}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *arguments,
        env={**kept, "MESH_LOG_FORMAT": "json", "MESH_PORT": "0", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def started_port(running: asyncio.subprocess.Process) -> int:
    assert running.stdout is not None
    async with asyncio.timeout(120):
        async for line in running.stdout:
            event = json.loads(line)
            if event["event"] == "server.started":
                return int(event["port"])
    raise AssertionError("the process ended before it listened")


@pytest.mark.parametrize("part", ["web", "all"])
async def test_given_process_when_asked_to_stop_then_answers_before_and_exits_cleanly(part):
    async with process(part, MESH_GRACE_SECONDS="0.1", MESH_CONVERSATION_ADDRESS="dns:///127.0.0.1:1") as running:
        port = await started_port(running)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/api/kommo/webhook")).status_code == 503
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            _, errors = await running.communicate()

    assert (running.returncode, errors) == (0, b"")


async def test_given_port_in_use_when_started_then_says_so_and_exits():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with process("web", MESH_PORT=str(taken.getsockname()[1])) as running, asyncio.timeout(120):
            _, errors = await running.communicate()

    assert running.returncode == 2
    assert b"cannot listen on" in errors
    assert b"Traceback" not in errors


async def test_given_missing_accounts_directory_when_started_then_says_so_and_exits(tmp_path):
    async with process("all", MESH_ACCOUNTS_DIR=str(tmp_path / "none")) as running, asyncio.timeout(120):
        _, errors = await running.communicate()

    assert running.returncode == 2
    assert b"no such directory" in errors
    assert b"Traceback" not in errors
