"""What intent-service can be told from outside."""

from pydantic import Field

from kommomesh_runtime.settings import ServerSettings


class IntentSettings(ServerSettings):
    """Settings of intent-service."""

    reload_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="Time between two looks at the profiles for changed files."
    )
    human_request_threshold: float = Field(
        default=0.45, ge=0, le=1, description="Confidence from which a request for a person calls one."
    )
    complaint_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Confidence from which a complaint calls a person."
    )
    decision_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Score from which any evidence calls a person."
    )
