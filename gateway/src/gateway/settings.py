"""Settings of the gateway's web half."""

from pydantic import Field

from kommomesh_runtime.settings import MeshSettings


class GatewaySettings(MeshSettings):
    """What the web half can be told; environment variables carry the prefix `MESH_`."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")
    conversation_address: str = Field(
        default="dns:///127.0.0.1:50061", description="gRPC address of conversation-service."
    )
    embedded_worker: bool = Field(
        default=True, description="Whether `all` runs the worker in the web process; false leaves the web half alone."
    )
    body_limit_bytes: int = Field(default=1_048_576, ge=1_024, description="Largest body of a webhook.")
    body_seconds: float = Field(default=10.0, gt=0, le=60, description="Time in which a body has to arrive.")
    request_seconds: float = Field(
        default=30.0, gt=0, le=300, description="Time in which a request with its headers and body has to arrive."
    )
    header_limit_bytes: int = Field(default=65_536, ge=8_192, description="Most bytes of a request before its body.")
    connection_limit: int = Field(default=512, ge=1, description="Connections and requests at once; more get 503.")
    waiting_limit: int = Field(default=2_000, ge=1, description="Webhooks that may wait to be stored; more get 503.")
    store_seconds: float = Field(default=0.9, gt=0, le=1.8, description="Time to store a CRM webhook before 503.")
    chats_store_seconds: float = Field(
        default=3.9, gt=0, le=4.5, description="Time to store a Chats API hook before 503; Kommo sends it only once."
    )
    salesbot_wait_seconds: float = Field(
        default=300.0, gt=0, le=3_600, description="How long a Salesbot that asked is taken to wait for its answer."
    )
    grace_seconds: float = Field(default=20.0, ge=0, le=120, description="Time that open requests get at the stop.")
