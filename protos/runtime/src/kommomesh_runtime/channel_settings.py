"""What an account file says of a channel that the account registered itself."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

OWN_ORIGIN = "amo.ext."
# https anywhere, or plain to this machine.
_HOSTS = r"https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost)"
RELAY_URL = rf"({_HOSTS})(:[0-9]{{1,5}})?(/[^\s?#]*)?"


class ChannelConfig(BaseModel):
    """A channel that the account registered itself through the Chats API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope_id: str
    channel_id: str = ""
    bot_id: str = ""
    code: str = ""
    amojo_id: str = ""
    relay_url: str = ""
    messenger: Literal["whatsapp", "instagram", "telegram", "facebook", "other"] = "other"

    @field_validator("relay_url")
    @classmethod
    def _only_https(cls, value: str) -> str:
        if value and not re.fullmatch(RELAY_URL, value):
            raise ValueError("must be an https address without a query, or http on 127.0.0.1 or localhost")
        return value

    @property
    def origin(self) -> str:
        """What Kommo calls the origin of the channel's chats; without a code, what all such origins begin with."""
        return self.code if self.code.startswith(OWN_ORIGIN) else OWN_ORIGIN + self.code

    def owns(self, origin: str) -> bool:
        """Tell whether a chat of this origin is one of the channel."""
        return origin == self.origin if self.code else origin.startswith(OWN_ORIGIN)
