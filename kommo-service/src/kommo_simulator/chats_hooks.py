"""Chats webhooks: what the company writes in the own channel, signed, sent once, to its owner."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec
import structlog

from kommo_simulator.background import Background
from kommo_simulator.model import Chat, Contact, Message
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.signature import JSON, sign_body
from kommo_simulator.webhooks_out import ATTEMPTS_KEPT, Attempt, post

log = structlog.get_logger()


def message_hook(
    settings: SimulatorSettings, chat: Chat, contact: Contact, message: Message, now: int
) -> dict[str, Any]:
    """Return the v2 body of a company's message in a chat of the own channel."""
    file = message.attachment
    conversation = {"id": chat.id} | ({"client_id": chat.conversation_id} if chat.conversation_id else {})
    receiver = {"id": chat.client_id, "phone": contact.phone, "email": contact.email}
    if chat.client_external_id:
        receiver["client_id"] = chat.client_external_id
    return {
        "account_id": settings.amojo_id,
        "time": now,
        "message": {
            "receiver": receiver,
            "sender": {"id": message.author.id, "name": message.author.name},
            "conversation": conversation,
            "timestamp": message.created_at,
            "msec_timestamp": message.created_at * 1000,
            "message": {
                "id": message.id,
                "type": message.message_type,
                "text": message.text,
                "markup": None,
                "tag": "",
                "media": file.link if file else "",
                "thumbnail": "",
                "file_name": file.file_name if file else "",
                "file_size": file.file_size if file else 0,
            },
        },
    }


class ChatsHooks:
    """Sends Chats webhooks of the own channel, each once."""

    def __init__(
        self,
        settings: SimulatorSettings,
        background: Background,
        session: Callable[[], aiohttp.ClientSession],
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._background = background
        self._session = session
        self._now = now
        self.attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)
        self.pending = 0

    def send(self, chat_id: str, body: Mapping[str, Any]) -> None:
        """Start sending one body, where a URL is set."""
        if self._settings.chats_webhook_url:
            self.pending += 1
            self._background.spawn(self._send(chat_id, msgspec.json.encode(body))).add_done_callback(self._finish)

    def _finish(self, _: asyncio.Task[None]) -> None:
        self.pending -= 1

    async def _send(self, chat_id: str, body: bytes) -> None:
        settings = self._settings
        url = settings.chats_webhook_url.replace(":scope_id", settings.scope_id)
        headers = {"Content-Type": JSON, "X-Signature": sign_body(settings.channel_secret.get_secret_value(), body)}
        timeout = aiohttp.ClientTimeout(total=settings.chats_webhook_timeout_seconds)
        at = self._now()
        # The newline travels but is not signed, as captured requests show.
        status = await post(self._session(), url, body + b"\n", headers, timeout)
        self.attempts.append(Attempt("chats_message", chat_id, url, 1, "", at, status, round(self._now() - at, 4)))
        if not 100 <= status <= 299:
            log.warning("chats_webhook.refused", chat_id=chat_id, status=status)
