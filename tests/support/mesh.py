"""A whole mesh of real processes on free ports, for end-to-end tests: started, killed and asked from outside."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

import httpx
from processes import Ports, Process, gateway, service, simulator
from supervisor import is_ready

T = TypeVar("T")

# Longer than the slowest machine needs: what waits so long has failed.
READY_SECONDS = 240
LIMIT_SECONDS = 120
ACCOUNT = "12345"
WEBHOOK_SECRET = "local-webhook-secret"
FIXTURE_SECRET = "fixture-webhook-secret"

ACCOUNT_TOML = """
id = "{id}"
subdomain = "{subdomain}"
guide_webhook = "{guide}"
kommo_base_url = "{simulator}"
chats_base_url = "{simulator}"
requests_per_second = 2000
quiet_seconds = {quiet}
quiet_max_seconds = 3
dependency_wait_seconds = 180
user_amojo_ids = ["db2aef5d-e204-580c-b10b-7f8f6a238708", "eeb00b5e-89a6-52bf-a2bf-820704a2533c"]

[handoff]
tags = ["persona"]
{handoff_lines}

[channel]
channel_id = "{channel_id}"
scope_id = "{scope_id}"
amojo_id = "{amojo_id}"
bot_id = "{bot_id}"

[secrets]
webhook_secret = [{{value = "{secret}"}}]
access_token = [{{value = "local-development-token"}}]
channel_secret = [{{value = "{channel_secret}"}}]
{secret_lines}
"""
# What follows where nobody comes has a mesh of its own: elsewhere it would be work that is left for half an hour.
NOBODY_IS_MISSED = "person_reminder_after_seconds = 0"
LOCAL_CHANNEL = {
    "channel_id": "7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34",
    "amojo_id": "1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10",
    "bot_id": "5e8b7a90-4d1c-5f23-96e4-b3a2d1c0f987",
    "channel_secret": "c0ffee5eed0f1eaf00d5afe7e57ab1e0decade11",
}
FIXTURE_CHANNEL = {
    "channel_id": "cb743d94-e10c-584f-935b-a878ab9c730b",
    "amojo_id": "1fc0353a-290f-5d64-b8fe-3d6f809da6fa",
    "bot_id": "19d58f94-1244-52ad-9930-79d821fc59bd",
    "channel_secret": "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7",
}


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, and that the system gives to nobody who asks for any port.

    Seconds pass before a process listens on its port, and while it is killed; other tests open servers and connections
    meanwhile, on any port that the system gives them.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest_given = int(given.read_text().split()[0]) if given.exists() else 32_768
    ours = range(10_000, lowest_given if lowest_given > 20_000 else 60_000)
    # Runs on one machine at the same time must not draw alike.
    return list(islice(filter(_is_free, SystemRandom().sample(ours, 50 * count)), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


async def until(look: Callable[[], Awaitable[T]], seconds: float = LIMIT_SECONDS) -> T:
    """Return the first true result of `look`, asked again and again.

    Raises:
        TimeoutError: none came in time.
    """
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(0.05)
        return found


def write_accounts(
    folder: Path,
    simulator_url: str,
    quiet: float,
    account_lines: str = "",
    handoff_lines: str = NOBODY_IS_MISSED,
    secret_lines: str = "",
) -> Path:
    """Write the local account and the one of the fixtures, both with these lines; return their directory."""
    accounts = folder / "accounts"
    accounts.mkdir(exist_ok=True)
    for name, subdomain, guide, secret, channel in (
        (ACCOUNT, "test", "open", WEBHOOK_SECRET, LOCAL_CHANNEL),
        ("31874205", "fixture-tiendaaurora", "closed", FIXTURE_SECRET, FIXTURE_CHANNEL),
    ):
        scope_id = f"{channel['channel_id']}_{channel['amojo_id']}"
        text = ACCOUNT_TOML.format(
            id=name,
            subdomain=subdomain,
            guide=guide,
            secret=secret,
            simulator=simulator_url,
            quiet=quiet,
            scope_id=scope_id,
            handoff_lines=handoff_lines,
            secret_lines=secret_lines,
            **channel,
        )
        (accounts / f"{name}.toml").write_text(f"{account_lines}\n{text}")
    return accounts


@dataclass
class Mesh:
    """The processes of one mesh, and clients of its gateway and its simulator."""

    folder: Path
    ports: Ports
    environ: Mapping[str, str]
    web: httpx.AsyncClient
    kommo: httpx.AsyncClient
    processes: dict[str, Process]
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, *names: str) -> None:
        """Start processes, all when none is named, and wait until they answer."""
        chosen = names or tuple(self.processes)
        for name in chosen:
            process = self.processes[name]
            with (self.folder / f"{name}.log").open("ab") as output:
                self.running[name] = await asyncio.create_subprocess_exec(
                    *process.command,
                    env={**self.environ, **process.environ},
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                )
        async with asyncio.timeout(READY_SECONDS):
            for name in chosen:
                await self._until_ready(name)

    async def _until_ready(self, name: str) -> None:
        while not await is_ready(self.processes[name]):
            if self.running[name].returncode is not None:
                raise RuntimeError(f"{name} ended:\n{self.log(name)[-4000:]}")
            await asyncio.sleep(0.05)

    def log(self, name: str) -> str:
        """Return what a process has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    async def kill(self, name: str) -> None:
        """End a process at once, as a crash would."""
        self.running[name].send_signal(signal.SIGKILL)
        await self.running[name].wait()

    async def stop(self, *names: str) -> None:
        """Ask processes to stop, all when none is named, and wait for them."""
        chosen = [self.running[name] for name in names or tuple(reversed(self.running))]
        for one in chosen:
            if one.returncode is None:
                with suppress(ProcessLookupError):
                    one.terminate()
        for one in chosen:
            await one.wait()

    async def client_writes(self, text: str, chat_id: str, **more: Any) -> dict[str, Any]:
        """Play a client at the simulator."""
        answer = await self.kommo.post("/control/client-messages", json={"text": text, "chat_id": chat_id, **more})
        answer.raise_for_status()
        return dict(answer.json())

    async def colleague_writes(self, text: str, chat_id: str) -> None:
        """Play a person of the company at the simulator."""
        body = {"text": text, "chat_id": chat_id}
        (await self.kommo.post("/control/colleague-messages", json=body)).raise_for_status()

    async def replies(self, chat_id: str) -> list[dict[str, Any]]:
        """Return what reached the client of a chat through the API."""
        answer = await self.kommo.get("/control/deliveries", params={"chat_id": chat_id})
        return [one for one in answer.json()["deliveries"] if one["via"] not in ("inbox", "phone")]

    async def wait_for_replies(
        self, chat_id: str, count: int = 1, seconds: float = LIMIT_SECONDS
    ) -> list[dict[str, Any]]:
        """Return the replies of a chat as soon as there are `count`."""

        async def look() -> list[dict[str, Any]]:
            found = await self.replies(chat_id)
            return found if len(found) >= count else []

        return await until(look, seconds)


def with_replicas(processes: Mapping[str, Process], ports: Ports) -> dict[str, Process]:
    """Return the processes with a second one of each, all of which call both; the simulator stays alone."""
    second = Ports(*free_ports(6))
    names = ("conversation", "intent", "llm", "kommo")
    both = {
        f"MESH_{name.upper()}_ADDRESS": f"ipv4:127.0.0.1:{getattr(ports, name)},127.0.0.1:{getattr(second, name)}"
        for name in names
    }
    ours = {name: replace(one, environ={**one.environ, **both}) for name, one in processes.items()}
    moved = {getattr(ports, name): getattr(second, name) for name in (*names, "gateway")}
    for name, one in list(ours.items()):
        if name != "simulator":
            port = moved.get(one.port, 0)
            environ = {**one.environ, "MESH_PORT": str(port)}
            ours[f"{name}-2"] = replace(one, name=f"{name}-2", port=port, environ=environ)
    return ours


def base_environ(database_url: str, accounts: Path) -> dict[str, str]:
    """Return the variables of every process of a mesh; of those around the tests, none that means something to it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_", "OPENAI_"))}
    return {
        **clean,
        "MESH_DATABASE_URL": database_url,
        "MESH_ACCOUNTS_DIR": str(accounts),
        "MESH_LOG_FORMAT": "json",
        # A busy machine is no storage that is away, and what Kommo repeats comes within seconds, not minutes.
        "MESH_STORE_SECONDS": "1.8",
        "MESH_CHATS_STORE_SECONDS": "4.5",
        "MESH_INGEST_LIMIT_SECONDS": "4",
        "MESH_SIMULATOR_WEBHOOK_TIMEOUT_SECONDS": "30",
        "MESH_SIMULATOR_CHATS_WEBHOOK_TIMEOUT_SECONDS": "30",
        "MESH_SIMULATOR_TIME_SCALE": "0.02",
        "MESH_SIMULATOR_RATE": "0",
        "MESH_SIMULATOR_DELIVERY_DELAY_SECONDS": "0.05",
        "MESH_PROOF_FIRST_SECONDS": "0.5",
        "MESH_PROOF_SECOND_SECONDS": "5",
        "MESH_PROOF_LAST_SECONDS": "40",
    }


@asynccontextmanager
async def running_mesh(
    folder: Path,
    database_url: str,
    *,
    quiet: float = 0.3,
    split_gateway: bool = False,
    replicated: bool = False,
    environ: Mapping[str, str] | None = None,
    account_lines: str = "",
    handoff_lines: str = NOBODY_IS_MISSED,
    secret_lines: str = "",
) -> AsyncIterator[Mesh]:
    """Run a migrated mesh while inside.

    Args:
        folder: for accounts, logs and a SQLite file.
        database_url: the database; it is migrated first.
        quiet: the accounts' quiet window, in seconds.
        split_gateway: web and worker as two processes, so that each can be killed alone.
        replicated: everything but the simulator twice; the second ones are called `conversation-2` and so on.
        environ: more variables for every process.
        account_lines: more lines of the account files; `{gateway}` in them stands for the gateway's address.
        handoff_lines: more lines of their tables `[handoff]`.
        secret_lines: more lines of their tables `[secrets]`.
    """
    ports = Ports(*free_ports(6))
    lines = account_lines.replace("{gateway}", f"http://127.0.0.1:{ports.gateway}"), handoff_lines, secret_lines
    accounts = write_accounts(folder, f"http://127.0.0.1:{ports.simulator}", quiet, *lines)
    base = base_environ(database_url, accounts) | dict(environ or {})
    services = [service(name, ports) for name in ("conversation", "intent", "llm", "kommo")]
    edges = [gateway(ports, "web", "web"), gateway(ports, "worker", "worker")] if split_gateway else [gateway(ports)]
    processes = {one.name: one for one in (*services, *edges, simulator(ports))}
    if replicated:
        processes = with_replicas(processes, ports)
    await migrate(base)
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.gateway}", timeout=LIMIT_SECONDS) as web,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.simulator}", timeout=LIMIT_SECONDS) as kommo,
    ):
        mesh = Mesh(folder, ports, base, web, kommo, processes)
        try:
            await mesh.start()
            yield mesh
        finally:
            await mesh.stop()


async def migrate(environ: Mapping[str, str]) -> None:
    """Bring the database of the environment to the newest schema."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "conversation_service.migrate", env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError("the migration failed")
