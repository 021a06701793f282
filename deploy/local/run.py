"""Starts the whole mesh and the simulator on this machine, and stops them on Ctrl-C: `make run`."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from processes import Ports, Process, database_url, whole_mesh
from pydantic_settings import BaseSettings, SettingsConfigDict
from supervisor import Child, is_taken, until_ready

from kommomesh_runtime.server import stop_requested

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120
CURL_BODY = (
    '{"account":{"id":"12345","subdomain":"test"},"message":{"add":[{"id":"msg-test-001","chat_id":"chat-test-001",'
    '"text":"Hola, necesito información","origin":"whatsapp","created_at":1735520000,"contact_id":999,'
    '"author":{"type":"contact","name":"Cliente Test"}}]}}'
)


class LocalSettings(BaseSettings):
    """Ports of `make run`; each can be moved by a variable such as `MESH_LOCAL_GATEWAY_PORT`."""

    model_config = SettingsConfigDict(env_prefix="MESH_LOCAL_", frozen=True, extra="ignore")

    gateway_port: int = 8080
    simulator_port: int = 8090
    conversation_port: int = 50061
    intent_port: int = 50062
    llm_port: int = 50063
    kommo_port: int = 50064

    def ports(self) -> Ports:
        """Return the ports by process."""
        return Ports(
            self.gateway_port,
            self.simulator_port,
            self.conversation_port,
            self.intent_port,
            self.llm_port,
            self.kommo_port,
        )


def show(name: str, line: str) -> None:
    """Print one line of a process."""
    print(f"{name:>12} │ {line}", flush=True)


def say(line: str) -> None:
    """Print one line of our own."""
    show("make run", line)


def banner(ports: Ports, *, has_key: bool) -> None:
    """Print where to go next."""
    mode = "a model answers" if has_key else "no OPENAI_API_KEY: answers come from the business's data alone"
    say("the mesh is up" + f" ({mode})")
    say(f"chat as a client:   http://localhost:{ports.simulator}/")
    say(f"status:             http://localhost:{ports.gateway}/")
    say("or send a message:")
    print(
        f"\n  curl -X POST localhost:{ports.gateway}/api/kommo/webhook "
        f"-H 'Content-Type: application/json' -d '{CURL_BODY}'\n",
        flush=True,
    )
    say("Ctrl-C stops everything")


def migrate(environ: dict[str, str]) -> None:
    """Bring the database to the newest schema.

    Raises:
        SystemExit: it cannot; the command has said why.
    """
    say("database: newest schema")
    (ROOT / "var").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "conversation_service.migrate"]
    # Ctrl-C reaches this process alone, which then ends the migration; its transaction is undone.
    if subprocess.run(command, env=environ, check=False, start_new_session=True).returncode:
        raise SystemExit(1)


async def wait_until_ready(processes: list[Process]) -> None:
    """Return when every process answers.

    Raises:
        TimeoutError: one did not within two minutes.
    """
    async with asyncio.timeout(READY_SECONDS):
        for process in processes:
            await until_ready(process)
            say(f"{process.name} is ready" + (f" on port {process.port}" if process.port else ""))


async def supervise(processes: list[Process], environ: dict[str, str], ports: Ports) -> None:
    """Run the processes until asked to stop."""
    stop = stop_requested()
    children = [Child(process, environ, show) for process in processes]
    keepers = [asyncio.create_task(child.keep_running()) for child in children]
    announcing = asyncio.create_task(wait_until_ready(processes))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([announcing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if announcing.done() and not stop.is_set():
            announcing.result()
            banner(ports, has_key=bool(environ.get("OPENAI_API_KEY")))
            await stop.wait()
    finally:
        announcing.cancel()
        say("stopping")
        for child in reversed(children):  # the edge first, the database last
            await child.stop()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, announcing, return_exceptions=True)
        say("stopped")


def main() -> None:
    """Check the ports, migrate, and run."""
    ports = LocalSettings().ports()
    processes = whole_mesh(ports)
    taken = [f"{process.name} ({process.port})" for process in processes if is_taken(process.port)]
    if taken:
        say(f"something listens already where these belong: {', '.join(taken)}; see MESH_LOCAL_…_PORT in the README")
        raise SystemExit(1)
    environ = {
        "MESH_SIMULATOR_TIME_SCALE": "0.02",  # Kommo repeats a webhook after five minutes; six seconds will do here
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "MESH_DATABASE_URL": database_url(os.environ, ROOT),
    }
    try:
        migrate(environ)
        asyncio.run(supervise(processes, environ, ports))
    except TimeoutError:
        say(f"not every process answered within {READY_SECONDS} s; the lines above say why")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        say("stopped")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
