"""The account's Salesbots that say what the mesh wants said."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SalesbotConfig(BaseModel):
    """The bots of an account, and what they take. Limits are characters, times seconds.

    `bot_id` is the bot that prints the lead's field `field_id`, which holds `field_limit` characters; what it has not
    printed `wait_seconds` after its launch is taken back. `return_mode` says how a bot that asks is answered: with
    `data` that it prints itself, or with texts to `show`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_id: int | None = Field(default=None, gt=0)
    bot_id: int | None = Field(default=None, gt=0)
    field_limit: int = Field(default=256, ge=40, le=4096)
    wait_seconds: float = Field(default=10.0, gt=0, le=15)
    return_mode: Literal["data", "show"] = "data"
