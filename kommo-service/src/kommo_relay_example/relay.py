"""What a relay has to do: take each message of the mesh once, and bring what clients write to the mesh, signed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from kommomesh_runtime.relay import TOLERANCE, signed_headers, verified

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What a relay is told.

    Args:
        mesh_url: the mesh's endpoint for this account, such as `http://127.0.0.1:8080/api/channel/12345`.
        secret: what both sides sign with.
        host: where it listens.
        port: 0 lets the kernel pick one.
        status: what it says of messages that it has taken: `sent`, `delivered` or `read`.
    """

    mesh_url: str
    secret: str
    host: str = "127.0.0.1"
    port: int = 0
    status: str = "delivered"


@dataclass(slots=True)
class Relay:
    """One relay; a real one keeps in a database what this one keeps in memory.

    Args:
        settings: what it is told.
        client: connections to the mesh.
        now: returns the time.
        show: shows a line to whoever runs it.
    """

    settings: RelaySettings
    client: httpx.AsyncClient
    now: Callable[[], datetime]
    show: Callable[[str], None]
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    typing: list[str] = field(default_factory=list)
    seen: dict[UUID, datetime] = field(default_factory=dict)

    def admits(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Tell whether a request is the mesh's and has not come before."""
        request_id = verified(headers, body, (self.settings.secret,), self.now())
        if request_id is None or request_id in self.seen:
            return False
        self.seen[request_id] = self.now()
        # A signature counts for as long before its time as after it; a request that is forgotten could come again.
        over = self.now() - 3 * TOLERANCE
        while (oldest := next(iter(self.seen))) and self.seen[oldest] < over:
            del self.seen[oldest]
        return True

    def take(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Take what the mesh posts and return the answer; a message that came before gets the answer of then."""
        if content.get("type") == "typing":
            self.typing.append(str(content.get("conversation_id")))
        if content.get("type") != "message":
            return {}
        known = self.taken.get(str(content["id"]))
        if known is None:
            known = self.taken[str(content["id"])] = {**content, "message_id": f"out-{uuid4()}"}
            self.show(f"to {content['conversation_id']} ({content['author']['kind']}): {content['text']}")
        return {"message_id": known["message_id"], "status": self.settings.status}

    async def say(self, content: Mapping[str, Any]) -> httpx.Response:
        """Post a client's message, or a status, to the mesh; repeated, signed anew, while the mesh cannot store it."""
        answer = await self._post(content)
        for _ in range(ATTEMPTS - 1):
            if answer.status_code < 500:
                break
            answer = await self._post(content)
        return answer

    async def _post(self, content: Mapping[str, Any]) -> httpx.Response:
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = signed_headers(self.settings.secret, body, uuid4(), self.now())
        return await self.client.post(self.settings.mesh_url, content=body, headers=dict(headers))
