"""The processes of a mesh on one machine: what each is called, how it is started and what it is told."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIMULATOR_ACCOUNT = "12345"
WEBHOOK_SECRET = "local-webhook-secret"  # noqa: S105 - the public secret of the local account
SCOPE_ID = "7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34_1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen on the loopback address."""

    gateway: int = 8080
    simulator: int = 8090
    conversation: int = 50061
    intent: int = 50062
    llm: int = 50063
    kommo: int = 50064


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its name, its command, its own variables, and how to see that it is ready."""

    name: str
    command: tuple[str, ...]
    port: int
    is_grpc: bool
    ready_path: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def addresses(ports: Ports) -> dict[str, str]:
    """Return the variables that tell a process where the others are."""
    names = ("conversation", "intent", "llm", "kommo")
    found = {f"MESH_{name.upper()}_ADDRESS": f"dns:///127.0.0.1:{getattr(ports, name)}" for name in names}
    return {**found, "MESH_SIMULATOR_URL": f"http://127.0.0.1:{ports.simulator}"}


def service(name: str, ports: Ports) -> Process:
    """Return one of the four gRPC services by its short name."""
    port = getattr(ports, name)
    return Process(name, _module(f"{name}_service"), port, True, environ={"MESH_PORT": str(port), **addresses(ports)})


def gateway(ports: Ports, role: str = "all", name: str = "gateway") -> Process:
    """Return the gateway: `web`, `worker`, or `all` for both in one process."""
    environ = {"MESH_PORT": str(ports.gateway), **addresses(ports)}
    # The status page asks conversation-service too, so that the first webhook after it is stored.
    port, path = (0, "") if role == "worker" else (ports.gateway, "/api/kommo/webhook")
    return Process(name, _module("gateway", role), port, False, path, environ)


def simulator(ports: Ports) -> Process:
    """Return the simulator, which posts its webhooks to the gateway."""
    base = f"http://127.0.0.1:{ports.gateway}/api/kommo"
    environ = {
        "MESH_SIMULATOR_PORT": str(ports.simulator),
        "MESH_SIMULATOR_WEBHOOK_URLS": f"{base}/webhook/{WEBHOOK_SECRET}",
        "MESH_SIMULATOR_CHATS_WEBHOOK_URL": f"{base}/chats/{SCOPE_ID}",
    }
    return Process("simulator", _module("kommo_simulator"), ports.simulator, False, "/control/status", environ)


def whole_mesh(ports: Ports) -> list[Process]:
    """Return every process of the local default, in the order in which they are started."""
    services = [service(name, ports) for name in ("conversation", "intent", "llm", "kommo")]
    return [*services, gateway(ports), simulator(ports)]


def database_url(environ: Mapping[str, str], root: Path) -> str:
    """Return the database that the environment names, else a SQLite file under `root`."""
    return environ.get("MESH_DATABASE_URL") or environ.get("DATABASE_URL") or f"sqlite:///{root / 'var' / 'mesh.db'}"
