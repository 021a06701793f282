"""Faults of replies into the channel that the account registered itself: the transport `own_channel`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from support.faults.case import ALWAYS, DELIVERED, TOLD, Case, client_writes, fault, quiet
from support.faults.mesh import Kommo, Order

from kommomesh_runtime.relay import signed_headers


async def _own_client_writes(kommo: Kommo, chat_id: str) -> None:
    await client_writes(kommo, chat_id, origin=kommo.settings.origin)


async def _client_of_relay_writes(kommo: Kommo, chat_id: str) -> None:
    """Let the relay of the channel bring what its client wrote."""
    content = {
        "conversation_id": chat_id,
        "message_id": f"message-of-{chat_id}",
        "text": "¿Hay stock?",
        "contact": {"name": "Elena V.", "phone": "+5493510000001"},
    }
    body = json.dumps(content).encode()
    headers = signed_headers(kommo.relay_secret, body, uuid4(), datetime.now(UTC))
    url = f"{kommo.web_url}/api/channel/{kommo.account_id}"
    (await kommo.client.post(url, content=body, headers=headers)).raise_for_status()


OWN: Mapping[str, Any] = {"transports": ("own_channel",), "play": _own_client_writes}
RELAYED: Mapping[str, Any] = {"transports": ("own_channel",), "play": _client_of_relay_writes}


def _relay(*answers: tuple[int, bool]) -> Order:
    return Order(relay=answers)


OWN_CASES = (
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

RELAY_CASES = (
    Case("relay", "takes it; so does the relay", DELIVERED, "", 1, relayed=1, order=_relay(), **RELAYED),
    Case(
        "relay down",
        "takes it; the relay answers 503 three times",
        DELIVERED,
        "",
        1,
        relayed=1,
        order=_relay(*[(503, False)] * 3),
        **RELAYED,
    ),
    Case(
        "relay's answer lost",
        "takes it; the relay takes it and answers 504",
        DELIVERED,
        "",
        1,
        relayed=1,
        order=_relay((504, True), (504, True)),
        **RELAYED,
    ),
    Case("relay refuses", "takes it; the relay answers 400", TOLD, "relay", 1, order=_relay((400, False)), **RELAYED),
    Case(
        "mirror late",
        "503 to the client's words twice; then takes all",
        DELIVERED,
        "",
        1,
        relayed=1,
        faults=[fault("status", path="^/v2/", status=503, times=2)],
        order=_relay(),
        **RELAYED,
    ),
    Case(
        "mirror lost",
        "breaks off each request that it takes, once",
        DELIVERED,
        "",
        1,
        relayed=1,
        faults=[fault("reset_after", "create_chat"), fault("reset_after", "new_message", times=2)],
        order=_relay(),
        **RELAYED,
    ),
)

CHANNEL_CASES = (*OWN_CASES, *RELAY_CASES)
