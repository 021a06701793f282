"""Faults of replies into the channel that the account registered itself: the transport `own_channel`."""

from collections.abc import Mapping
from typing import Any

from support.faults.case import ALWAYS, DELIVERED, TOLD, Case, client_writes, fault, quiet
from support.faults.mesh import Kommo, Order


async def _own_client_writes(kommo: Kommo, chat_id: str) -> None:
    await client_writes(kommo, chat_id, origin=kommo.settings.origin)


OWN: Mapping[str, Any] = {"transports": ("own_channel",), "play": _own_client_writes}

CHANNEL_CASES = (
    Case("own channel", "takes it", DELIVERED, "", 1, **OWN),
    Case(
        "msgid repeated",
        "breaks off, taken; refuses the msgid again",
        DELIVERED,
        "",
        1,
        # The first reading shows the client; the one after the loss finds nothing, so that the message goes out again.
        faults=[
            fault("reset_after", "new_message"),
            fault("status", "history", status=204, skip=1, times=1),
        ],
        order=quiet(),
        **OWN,
    ),
    Case(
        "own channel down",
        "503 twice, not taken",
        DELIVERED,
        "",
        1,
        faults=[fault("status", "new_message", status=503, times=2)],
        **OWN,
    ),
    Case(
        "wrong signature",
        "403 to the signature",
        TOLD,
        "signature_refused",
        0,
        order=Order(secrets={"channel_secret": ["0123456789abcdef0123456789abcdef01234567"]}),
        **OWN,
    ),
    Case(
        "clock drift",
        "is an hour ahead",
        TOLD,
        "clock_drift",
        0,
        order=Order(kommo={"clock_ahead_seconds": 3600}),
        **OWN,
    ),
    Case(
        "channel disconnected",
        "403: not connected",
        TOLD,
        "",
        0,
        order=Order(kommo={"channel_connected": False}),
        **OWN,
    ),
    Case(
        "chat unknown to the channel",
        "204: the channel does not know the chat",
        TOLD,
        "not_own_channel",
        0,
        faults=[fault("status", "history", status=204, times=ALWAYS)],
        **OWN,
    ),
    Case("foreign chat", "a WhatsApp chat, own channel alone", TOLD, "not_own_channel", 0, transports=("own_channel",)),
    Case(
        "foreign chat, next way",
        "a WhatsApp chat, then takes it by its talk",
        DELIVERED,
        "delivered",
        1,
        transports=("own_channel", "talk_message"),
    ),
)
