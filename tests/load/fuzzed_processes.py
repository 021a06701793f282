"""What the fuzz run feeds: the parsers in a process of their own, and a gateway that forgets what it stores."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from support.mesh import free_ports

LOAD = Path(__file__).parent
MOST_ANSWER_SECONDS = 20.0
SCOPE = "cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa"
CHANNEL_SECRET = "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7"
CLIENT_SECRET = "1191cb34914bf1b213aa5b16fbecc0929d842517c5cf8fdc851d8d7549c9629e"
INTEGRATION = "3ce64c51-4f91-536b-8703-c6520b667e98"
ACCOUNT = f"""
id = "31874205"
subdomain = "fixture-tiendaaurora"
guide_webhook = "open"
public_url = "https://hooks.example.com"
integration_id = "{INTEGRATION}"

[channel]
scope_id = "{SCOPE}"

[secrets]
webhook_secret = [{{value = "fixture-webhook-secret"}}]
channel_secret = [{{value = "{CHANNEL_SECRET}"}}]
client_secret = [{{value = "{CLIENT_SECRET}"}}]
"""


@dataclass
class Parsers:
    """The parsers in their own process, which is asked about one body after the other."""

    process: "subprocess.Popen[bytes]"

    def ask(self, kind: str, body: bytes) -> tuple[float, str]:
        """Return the CPU seconds that a body took, and what became of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind} {len(body)}\n".encode() + body)
        self.process.stdin.flush()
        is_there, _, _ = select.select([self.process.stdout], [], [], MOST_ANSWER_SECONDS)
        assert is_there, "the parsers hang"
        seconds, _, result = self.process.stdout.readline().decode().rstrip("\n").partition(" ")
        return float(seconds), result


@contextmanager
def running_parsers() -> Iterator[Parsers]:
    """Run the parsers while inside."""
    command = [sys.executable, str(LOAD / "parsers_alone.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Parsers(process)
        finally:
            process.terminate()


@contextmanager
def running_gateway(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a gateway that forgets what it is told to store; give its address and its process."""
    (port,) = free_ports(1)
    accounts = folder / "accounts"
    accounts.mkdir()
    (accounts / "fixture.toml").write_text(ACCOUNT)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_"))}
    environ = {**clean, "MESH_PORT": str(port), "MESH_ACCOUNTS_DIR": str(accounts), "MESH_LOG_FORMAT": "json"}
    command = [sys.executable, str(LOAD / "web_without_store.py")]
    with (folder / "gateway.log").open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait_until_up(client: httpx.Client) -> None:
    """Return when the gateway answers."""
    for _ in range(600):
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the gateway did not come up")
