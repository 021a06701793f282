"""Where a client reads, as far as it changes how a text has to look."""

from enum import Enum


class Channel(Enum):
    """Where the client reads."""

    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"
    TELEGRAM = "telegram"
    FACEBOOK = "facebook"
    OTHER = "other"
