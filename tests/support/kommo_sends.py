"""Requests to kommo-service, and orders to the simulator that it speaks to."""

from datetime import UTC, datetime
from typing import Any

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from kommomesh.common.v1 import common_pb2
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.parsing import from_time

DELIVERY = "7f9b5a0e-0d43-4a5e-9d3e-5c1c52a1f2aa"


async def new_chat(control: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """Make a chat with an open talk at the simulator."""
    answer = await control.post("/control/chats", json=body)
    assert answer.status_code == 201
    return dict(answer.json())


async def deliveries(control: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return what reached clients."""
    return list((await control.get("/control/deliveries")).json()["deliveries"])


async def fault(control: httpx.AsyncClient, action: str, operation: str = "send_message", **more: Any) -> None:
    """Order a fault."""
    order = {"action": action, "match": {"operation": operation}, **more}
    assert (await control.post("/control/faults", json=order)).status_code == 201


def request(chat: dict[str, Any], **changes: Any) -> pb.SendMessageRequest:
    """Return a request to say something in a chat."""
    fields: dict[str, Any] = {
        "delivery_id": DELIVERY,
        "account_id": "12345",
        "chat_id": chat["chat_id"],
        "talk_id": str(chat["talk_id"]),
        "contact_id": str(chat["contact_id"]),
        "origin": chat["origin"],
        "channel": common_pb2.CHANNEL_WHATSAPP,
        "text": "**Sí**, tenemos stock.",
    }
    return pb.SendMessageRequest(**{**fields, **changes})


def now() -> Timestamp:
    """Return the time."""
    stamp = from_time(datetime.now(UTC))
    assert stamp is not None
    return stamp
