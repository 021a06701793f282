"""`make run`: one command up, Ctrl-C down, and no process of it left whatever ends it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
from support.mesh import free_ports, until

RUN = Path(__file__).parents[2] / "deploy" / "local" / "run.py"
PORTS = ("GATEWAY", "SIMULATOR", "CONVERSATION", "INTENT", "LLM", "KOMMO")
START_SECONDS = 240


class LocalRun:
    """The supervisor as a process of its own, with what it printed."""

    def __init__(self, running: asyncio.subprocess.Process, ports: list[int]) -> None:
        self.running = running
        self.ports = ports
        self.printed = ""

    async def until_printed(self, text: str) -> None:
        """Read on until a line with a text comes."""
        assert self.running.stdout is not None
        line = ""
        async with asyncio.timeout(START_SECONDS):
            while text not in line:
                line = (await self.running.stdout.readline()).decode()
                self.printed += line
                assert line, f"it ended without saying {text!r}:\n{self.printed}"

    def children(self) -> list[int]:
        """Return the ids of the processes that it has started."""
        task = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    async def end(self, signum: int) -> int:
        """Send a signal to its whole group, as a terminal does, and return its status; nothing listens afterwards."""
        children = self.children()
        assert len(children) == len(PORTS)
        os.killpg(self.running.pid, signum)
        output, _ = await self.running.communicate()
        self.printed += output.decode()

        async def all_gone() -> bool:
            return not any(_is_alive(pid) for pid in children)

        await until(all_gone)
        assert self.running.returncode is not None
        return self.running.returncode


def _is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


@asynccontextmanager
async def local_run(folder: Path, ports: list[int]) -> AsyncIterator[LocalRun]:
    """Give a supervisor that has just been started."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_", "OPENAI_"))}
    own = {f"MESH_LOCAL_{name}_PORT": str(port) for name, port in zip(PORTS, ports, strict=True)}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        str(RUN),
        env={**kept, **own, "DATABASE_URL": f"sqlite:///{folder}/mesh.db", "MESH_LOG_FORMAT": "json"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=1024 * 1024,
    )
    try:
        yield LocalRun(running, ports)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        await running.communicate()


async def _are_closed(ports: Sequence[int]) -> bool:
    def is_closed(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return all(map(is_closed, ports))


async def _write(port: int, number: int) -> httpx.Response:
    message = {
        "id": f"run-{number}",
        "chat_id": "run-chat",
        "text": "¿a qué hora abren?",
        "origin": "whatsapp",
        "contact_id": 999,
        "author": {"type": "contact", "name": "Cliente Test"},
    }
    body = {"account": {"id": "12345", "subdomain": "test"}, "message": {"add": [message]}}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        return await client.post("/api/kommo/webhook", json=body)


async def test_given_a_local_run_when_ended_in_any_way_then_nothing_is_left_and_it_starts_again(tmp_path: Path):
    ports = free_ports(len(PORTS))
    async with local_run(tmp_path, ports) as first:
        await first.until_printed("Ctrl-C stops everything")
        assert (await _write(ports[0], 1)).json()["messagesQueued"] == 1
        async with local_run(tmp_path, ports) as second:
            await second.until_printed("something listens already")
            assert await second.running.wait() == 1
        os.kill(first.children()[0], signal.SIGKILL)
        await first.until_printed("starts again in")
        await first.until_printed('"event":"server.started"')
        assert await first.end(signal.SIGINT) == 0
        assert "make run │ stopped" in first.printed
        assert "Traceback" not in first.printed
    async with local_run(tmp_path, ports) as again:
        await again.until_printed("Ctrl-C stops everything")
        # The database is the same one: it knows the message.
        assert (await _write(ports[0], 1)).json()["messagesQueued"] == 0
        assert await again.end(signal.SIGKILL) == -signal.SIGKILL
    # Nobody told the processes to end: the system does, and takes a moment for it.
    await until(partial(_are_closed, ports))


async def test_given_a_local_run_that_is_still_starting_when_interrupted_then_it_stops_cleanly(tmp_path: Path):
    async with local_run(tmp_path, free_ports(len(PORTS))) as starting:
        await starting.until_printed("database: newest schema")
        os.killpg(starting.running.pid, signal.SIGINT)
        output, _ = await starting.running.communicate()
        assert "Traceback" not in output.decode()
        assert starting.running.returncode in (0, 130)
