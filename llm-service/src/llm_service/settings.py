"""Settings of llm-service."""

from pydantic import AliasChoices, Field, SecretStr

from kommomesh_runtime.settings import ServerSettings


class LlmSettings(ServerSettings):
    """What llm-service can be told from outside; the names of an OpenAI guide are accepted beside `MESH_…`."""

    port: int = Field(default=50063, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")
    openai_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("MESH_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of the model API; without it replies come from the business's data alone.",
    )
    openai_base_url: str = Field(
        default="",
        validation_alias=AliasChoices("MESH_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Base URL of a compatible API; empty means OpenAI's own.",
    )
    openai_model_chat: str = Field(
        default="gpt-4o-mini",
        validation_alias=AliasChoices("MESH_OPENAI_MODEL_CHAT", "OPENAI_MODEL_CHAT"),
        description="Model that writes replies.",
    )
    openai_model_fast: str = Field(
        default="",
        validation_alias=AliasChoices("MESH_OPENAI_MODEL_FAST", "OPENAI_MODEL_FAST"),
        description="Model asked when the first fails, and what unsure messages want; empty leaves both to the first.",
    )
    openai_model_embeddings: str = Field(
        default="",
        validation_alias=AliasChoices("MESH_OPENAI_MODEL_EMBEDDINGS", "OPENAI_MODEL_EMBEDDINGS"),
        description="Model for embeddings; the search of this release does not use one.",
    )
    model_temperature: float = Field(default=0.3, ge=0, le=2, description="Temperature of replies.")
    model_max_tokens: int = Field(default=500, ge=16, le=8192, description="Most tokens of one reply.")
    model_timeout_seconds: float = Field(default=12.0, gt=0, le=120, description="Most time of one model call.")
    model_max_retries: int = Field(default=2, ge=0, le=10, description="Repeats of a model call that failed for now.")
    reply_seconds: float = Field(
        default=20.0, gt=0, le=120, description="Most time of a reply, for callers that set no deadline."
    )
    classify_seconds: float = Field(default=2.5, gt=0, le=30, description="Most time of asking about an unsure intent.")
    classify_max_tokens: int = Field(default=60, ge=16, le=1024, description="Most tokens of such an answer.")
    reload_seconds: float = Field(default=2.0, gt=0, le=3600, description="Time between looks at the profile files.")
    max_history_messages: int = Field(default=20, ge=0, le=200, description="Most messages of history in a prompt.")
