"""What conversation-service can be told from outside."""

from datetime import timedelta

from pydantic import AliasChoices, Field, SecretStr, model_validator

from conversation_service.adapters.postgres_url import is_postgres
from conversation_service.domain.proof import Looks
from kommomesh_runtime.settings import ServerSettings


class ConversationSettings(ServerSettings):
    """Settings of conversation-service."""

    port: int = Field(default=50061, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/mesh.db"),
        validation_alias=AliasChoices("MESH_DATABASE_URL", "DATABASE_URL"),
        description="`sqlite:///` and a file, or `postgresql://…`; `DATABASE_URL` is read too.",
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="PostgreSQL connections at once.")
    database_acquire_seconds: float = Field(
        default=0.6, gt=0, le=10, description="Longest wait for a PostgreSQL connection."
    )
    database_limit_seconds: float = Field(default=5.0, gt=0, le=60, description="Longest transaction.")
    database_pooler: bool = Field(
        default=False, description="A transaction pooler stands before PostgreSQL: nothing is kept in a session."
    )
    ingest_limit_seconds: float = Field(
        default=0.9, gt=0, le=10, description="Longest time to store; then the caller is told to try again."
    )
    ingest_most_items: int = Field(default=1000, ge=1, le=10_000, description="Items that are committed together.")
    delivery_max_attempts: int = Field(
        default=12, ge=1, le=1000, description="Attempts after which a delivery becomes a dead letter."
    )
    proof_first_seconds: float = Field(
        default=10, ge=0.1, le=3600, description="Time from a send to the first look whether the client has it."
    )
    proof_second_seconds: float = Field(
        default=25, ge=0.1, le=3600, description="Time to the next look, for a message still on its way."
    )
    proof_last_seconds: float = Field(
        default=55,
        ge=0.1,
        le=3600,
        description="Time to the look that decides; what has left no sign by then did not arrive.",
    )
    proof_give_up_seconds: float = Field(
        default=900, ge=1, le=86_400, description="Time after which looks that fail are given up."
    )
    migrate_on_start: bool | None = Field(
        default=None, description="Migrate before serving; by default on SQLite alone, which one process owns."
    )

    @model_validator(mode="after")
    def _check_looks(self) -> "ConversationSettings":
        if not self.proof_first_seconds <= self.proof_second_seconds <= self.proof_last_seconds:
            raise ValueError("proof_first_seconds, proof_second_seconds and proof_last_seconds have to grow")
        return self

    @property
    def looks(self) -> Looks:
        """When messages are looked for that Kommo has accepted."""
        seconds = (
            self.proof_first_seconds,
            self.proof_second_seconds,
            self.proof_last_seconds,
            self.proof_give_up_seconds,
        )
        return Looks(*(timedelta(seconds=one) for one in seconds))

    @property
    def migrates_on_start(self) -> bool:
        """Whether to migrate before serving."""
        if self.migrate_on_start is not None:
            return self.migrate_on_start
        return not is_postgres(self.database_url.get_secret_value())
