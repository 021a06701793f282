"""What the worker can be told from outside."""

import os
import secrets
import socket

from pydantic import Field

from kommomesh_runtime.settings import MeshSettings


def new_worker_id() -> str:
    """Return a name for this worker that no other one has: host, process and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class WorkerSettings(MeshSettings):
    """Settings of the worker, embedded in the web process or a process of its own."""

    conversation_address: str = Field(default="dns:///127.0.0.1:50061", description="Where conversation-service is.")
    intent_address: str = Field(default="dns:///127.0.0.1:50062", description="Where intent-service is.")
    llm_address: str = Field(default="dns:///127.0.0.1:50063", description="Where llm-service is.")
    kommo_address: str = Field(default="dns:///127.0.0.1:50064", description="Where kommo-service is.")
    host: str = Field(default="127.0.0.1", description="Address that health and metrics listen on.")
    health_port: int = Field(default=0, ge=0, le=65535, description="Port of health, for probes; 0 serves none.")
    worker_id: str = Field(default_factory=new_worker_id, min_length=1, description="Name of this worker in traces.")
    max_turns_in_flight: int = Field(default=64, ge=1, le=2000, description="Turns taken at once.")
    max_deliveries_in_flight: int = Field(
        default=32, ge=1, le=2000, description="Deliveries sent at once by the delivery loop."
    )
    lease_wait_seconds: float = Field(default=15.0, ge=0.1, le=20, description="How long a poll waits for work.")
    delivery_in_place: bool = Field(
        default=True, description="Whether who completes a turn sends its reply at once, without another lease."
    )
