"""What every service can be told from outside."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# Settings that are secrets may come as files of this directory, named like their variables in lower case.
SECRETS_DIR = Path(os.environ.get("MESH_SECRETS_DIR", "/etc/kommo-mesh/secrets"))


class MeshSettings(BaseSettings):
    """Settings of every process of the mesh; environment variables carry the prefix `MESH_`."""

    model_config = SettingsConfigDict(
        env_prefix="MESH_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
    )

    accounts_dir: Path | None = Field(
        default=None, description="Directory with one TOML file an account; without it, KOMMO_… describes one account."
    )
    accounts_reload_seconds: float = Field(
        default=2.0, ge=0, le=60, description="Least time between two looks at the files of that directory."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is pretty on a terminal and JSON elsewhere."
    )
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of Prometheus metrics; 0 serves none.")
    drain_seconds: float = Field(default=0.2, ge=0, le=60, description="Time between NOT_SERVING and the stop.")
    grace_seconds: float = Field(default=5.0, ge=0, le=120, description="Time that open calls get to finish.")


class ServerSettings(MeshSettings):
    """Settings of a gRPC server."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=0, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")
    health_port: int = Field(default=0, ge=0, le=65535, description="Port of health alone, for probes; 0 serves none.")
    max_concurrent_calls: int = Field(default=1000, ge=1, description="Calls at once; more are refused.")
    reflection_enabled: bool = Field(default=True, description="Whether the server tells its contract.")
