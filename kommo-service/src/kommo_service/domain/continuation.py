"""What a Salesbot that waits is told: a text among its data, or texts to show."""

from collections.abc import Sequence
from typing import Any, Literal

from kommo_service.domain.rendering import SHOW_LIMIT, TALK_MESSAGE_LIMIT, is_cuttable, split

ReturnMode = Literal["data", "show"]

# The bot prints it as `{{json.reply}}`.
DATA_KEY = "reply"
MOST_HANDLERS = 10


def pieces(text: str, mode: ReturnMode) -> Sequence[str]:
    """Return the messages that a bot makes of a text; always the same ones."""
    return [text] if mode == "data" else split(text, SHOW_LIMIT)


def continuation_body(text: str, mode: ReturnMode) -> dict[str, Any] | None:
    """Return what continues a bot with a text; None when it does not take that much.

    A continuation works once, so that there is no second one for what is left over.

    Args:
        text: what is to be said.
        mode: `data` leaves the printing to the bot, `show` does it by handlers.

    Source: Kommo Salesbot, continuation: at most 10 handlers, at most 80 characters in `show`; none of it for `data`.
    """
    if mode == "data":
        return {"data": {DATA_KEY: text}, "execute_handlers": []} if len(text) <= TALK_MESSAGE_LIMIT else None
    shown = pieces(text, mode)
    if len(shown) > MOST_HANDLERS or not is_cuttable(text, SHOW_LIMIT):
        return None
    return {"data": {}, "execute_handlers": [_show(piece) for piece in shown]}


def _show(text: str) -> dict[str, Any]:
    return {"handler": "show", "params": {"type": "text", "value": text}}
