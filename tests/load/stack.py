"""Processes of one measurement: started, weighed and stopped together."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from figures import Side
from load_client import Exchange, closed_loop
from processes import Ports, Process, gateway, service
from supervisor import is_ready
from support.mesh import free_ports
from webhook_bodies import ACCOUNT_ID, SECRET, SUBDOMAIN

HERE = Path(__file__).parent
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
SERVICES = ("conversation", "intent", "llm", "kommo")

# Nothing waits on purpose: no quiet window, and no limit of Kommo's that a benchmark could reach.
ACCOUNT_TOML = f"""
id = "{ACCOUNT_ID}"
subdomain = "{SUBDOMAIN}"
kommo_base_url = "http://127.0.0.1:{{kommo_port}}"
requests_per_second = 1000000
quiet_seconds = 0
quiet_max_seconds = 0

[secrets]
webhook_secret = [{{{{value = "{SECRET}"}}}}]
access_token = [{{{{value = "load-token"}}}}]
"""


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environ(folder: Path, kommo_port: int, database_url: str) -> dict[str, str]:
    """Return the variables of every process: an account that reaches the peer, a database, and no key of a model.

    Args:
        folder: where the account's file is written.
        kommo_port: where Kommo seems to be.
        database_url: the database; conversation-service migrates it.
    """
    accounts = folder / "accounts"
    accounts.mkdir(parents=True, exist_ok=True)
    (accounts / f"{ACCOUNT_ID}.toml").write_text(ACCOUNT_TOML.format(kommo_port=kommo_port))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_", "OPENAI_"))}
    return {
        **kept,
        "MESH_ACCOUNTS_DIR": str(accounts),
        "MESH_DATABASE_URL": database_url,
        "MESH_MIGRATE_ON_START": "true",
        "MESH_LOG_FORMAT": "json",
        "MESH_DRAIN_SECONDS": "0",
        # What answers at the other end keeps no record to look into.
        "MESH_PROOF_FIRST_SECONDS": "3600",
        "MESH_PROOF_SECOND_SECONDS": "3600",
        "MESH_PROOF_LAST_SECONDS": "3600",
        "MESH_GRACE_SECONDS": "2",
    }


def script(name: str, port: int) -> Process:
    """Return a process of this folder that serves HTTP."""
    return Process(name, (sys.executable, str(HERE / f"{name}.py")), port, False, "/healthz", {"MESH_PORT": str(port)})


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its threads have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@dataclass
class Stack:
    """Running processes, and the port that webhooks go to."""

    folder: Path
    environ: Mapping[str, str]
    port: int = 0
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    ready_seconds: dict[str, float] = field(default_factory=dict)

    async def start(self, *processes: Process) -> None:
        """Start processes together and wait until each answers."""
        async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
            for process in processes:
                group.create_task(self._start(process))

    async def _start(self, process: Process) -> None:
        begin = time.monotonic()
        with (self.folder / f"{process.name}.log").open("wb") as output:
            self.running[process.name] = await asyncio.create_subprocess_exec(
                *process.command,
                env={**self.environ, **process.environ},
                cwd=self.folder,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        while not await is_ready(process):
            self._check(process.name)
            await asyncio.sleep(0.02)
        self.ready_seconds[process.name] = time.monotonic() - begin

    def _check(self, name: str) -> None:
        if self.running[name].returncode is not None:
            log = (self.folder / f"{name}.log").read_text(errors="replace")
            raise RuntimeError(f"{name} ended:\n{log[-3000:]}")

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each process so far."""
        return {name: cpu_seconds(one.pid) for name, one in self.running.items()}

    async def measure(self, side: Side, exchange: Exchange, *, together: int, seconds: float) -> None:
        """Add one round of load to a side."""
        before = self.cpu_seconds()
        load = await closed_loop(self.port, exchange, together=together, seconds=seconds)
        side.add(load, {name: now - before[name] for name, now in self.cpu_seconds().items()})

    async def stop(self) -> None:
        """Stop what was started, the last first; what does not go is made to."""
        for process in reversed(self.running.values()):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
        for process in self.running.values():
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def _stack(folder: Path, kommo_port: int, database_url: str) -> AsyncIterator[Stack]:
    stack = Stack(folder, clean_environ(folder, kommo_port, database_url))
    try:
        yield stack
    finally:
        await stack.stop()


def sqlite_url(folder: Path) -> str:
    """Return the address of a database file in a folder."""
    return f"sqlite:///{folder / 'mesh.db'}"


@asynccontextmanager
async def storing_web(folder: Path, database_url: str) -> AsyncIterator[Stack]:
    """Give the gateway's web half and conversation-service, each a process."""
    ports = Ports(*free_ports(6))
    async with _stack(folder, 1, database_url) as stack:
        await stack.start(service("conversation", ports), gateway(ports, "web"))
        stack.port = ports.gateway
        yield stack


@asynccontextmanager
async def one_script(name: str, folder: Path, kommo_port: int = 1) -> AsyncIterator[Stack]:
    """Give a process of this folder: `web_without_store` or `one_process`."""
    async with _stack(folder, kommo_port, sqlite_url(folder)) as stack:
        stack.port = free_ports(1)[0]
        await stack.start(script(name, stack.port))
        yield stack


@asynccontextmanager
async def whole_mesh(folder: Path, kommo_port: int) -> AsyncIterator[Stack]:
    """Give the mesh on SQLite: gateway web and worker and the four services, six processes."""
    ports = Ports(*free_ports(6))
    async with _stack(folder, kommo_port, sqlite_url(folder)) as stack:
        services = [service(name, ports) for name in SERVICES]
        await stack.start(*services, gateway(ports, "web", "web"), gateway(ports, "worker", "worker"))
        stack.port = ports.gateway
        yield stack


@asynccontextmanager
async def lone_service(name: str, folder: Path) -> AsyncIterator[tuple[Stack, str]]:
    """Give one service and its address."""
    ports = Ports(*free_ports(6))
    async with _stack(folder, 1, sqlite_url(folder)) as stack:
        await stack.start(service(name, ports))
        yield stack, f"dns:///127.0.0.1:{getattr(ports, name)}"
