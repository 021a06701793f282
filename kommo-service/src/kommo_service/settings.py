"""What kommo-service can be told from outside."""

from pydantic import Field

from kommomesh_runtime.settings import ServerSettings


class KommoSettings(ServerSettings):
    """Settings of kommo-service; the accounts themselves come from `accounts_dir`."""

    port: int = Field(default=50064, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")
    kommo_settle_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="Age of an unclear attempt from which its absence in Kommo's record counts.",
    )
    alert_hosts: str = Field(
        default="",
        description="Hosts that accounts may name as alert addresses, by commas, such as `hooks.example.com`.",
    )
    kommo_answer_seconds: float = Field(
        default=8.0, gt=0, le=20, description="Longest wait for an answer of Kommo; what it brings then is unclear."
    )
