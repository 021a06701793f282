"""The shapes in which accounts have received a client's message, beside the one of most captured requests."""

import re
from typing import Literal

from kommo_simulator.crm_events import Fields

ClientShape = Literal["wrapped", "bare", "legacy"]

# What requests of earlier years lack.
_NEWER = re.compile(r"\[(talk_id|contact_id|message_type)\]$|\[author\]|\[attachment\]\[file_name\]$")


def shaped(fields: Fields, shape: ClientShape) -> Fields:
    """Return the fields of `message[add]` in a shape.

    Args:
        fields: as most accounts receive them, the account first.
        shape: `wrapped` is that; `bare` is the documentation's sample, `add[0]…` with the account at the end; `legacy`
            lacks talk, contact, author, message type and file name.

    Source: Kommo webhooks, samples of July 2026 and of before.
    """
    if shape == "bare":
        account = [pair for pair in fields if pair[0].startswith("account")]
        rest = [(name.removeprefix("message"), value) for name, value in fields if not name.startswith("account")]
        return [*((_unbracketed(name), value) for name, value in rest), *account]
    if shape == "legacy":
        return [pair for pair in fields if not _NEWER.search(pair[0])]
    return fields


def _unbracketed(name: str) -> str:
    # `[add][0][id]` becomes `add[0][id]`: the outermost name of a form field stands without brackets.
    return re.sub(r"^\[(\w+)\]", r"\1", name)
