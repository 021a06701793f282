"""An alert address for tests: a real HTTP server that keeps what it gets and checks who signed it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class AlertPeer:
    """What an alert address has seen.

    Args:
        secret: what requests are signed with.
        url: where it listens.
        refusals: requests that are still answered 503.
        seen: bodies of the signed requests that were taken, by their idempotency key; all of them, repeats included.
        forged: requests without a valid signature.
    """

    secret: str
    url: str = ""
    refusals: int = 0
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    forged: int = 0

    def of(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return what was told of a conversation, each alert once, however often it came."""
        return list({key: body for key, body in self.seen if body["conversation_id"] == conversation_id}.values())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and end the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            pairs = (line.partition(":") for line in head.split("\r\n")[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status = self._answered(headers, body)
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nRetry-After: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _answered(self, headers: Mapping[str, str], body: bytes) -> int:
        signed = headers.get("x-mesh-timestamp", "").encode() + b"." + body
        expected = "sha256=" + hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, headers.get("x-mesh-signature", "")):
            self.forged += 1
            return 401
        if self.refusals > 0:
            self.refusals -= 1
            return 503
        self.seen.append((headers["idempotency-key"], json.loads(body)))
        return 200


@asynccontextmanager
async def running_alert_peer(secret: str) -> AsyncIterator[AlertPeer]:
    """Serve an alert address while inside."""
    peer = AlertPeer(secret)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    try:
        yield peer
    finally:
        server.close()
