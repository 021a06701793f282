"""Chats webhooks: what happens on the company's side of the own channel, signed, sent once, to its owner."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec
import structlog

from kommo_simulator.background import Background
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.signature import JSON, sign_body
from kommo_simulator.webhook_plan import Passage, WebhookPlan
from kommo_simulator.webhooks_out import ATTEMPTS_KEPT, Attempt, post

ChatsEvent: TypeAlias = Literal["message", "typing", "reaction"]

log = structlog.get_logger()


class ChatsHooks:
    """Sends Chats webhooks of the own channel, each once."""

    def __init__(
        self,
        settings: SimulatorSettings,
        background: Background,
        session: Callable[[], aiohttp.ClientSession],
        now: Callable[[], float],
        plan: WebhookPlan,
    ) -> None:
        self._settings = settings
        self._background = background
        self._session = session
        self._now = now
        self._plan = plan
        self.attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)
        self.pending = 0

    def send(self, event: ChatsEvent, chat_id: str, body: Mapping[str, Any]) -> Passage | None:
        """Start sending one body and return its passage; None where no URL is set or the event is not subscribed to."""
        if not self._settings.chats_webhook_url or event not in self._settings.chats_webhook_events:
            return None
        self.pending += 1
        passage, delay = self._plan.enter(f"chats_{event}", chat_id)
        work = self._send(f"chats_{event}", chat_id, msgspec.json.encode(body), passage, delay)
        self._background.spawn(work).add_done_callback(self._finish)
        return passage

    def _finish(self, _: asyncio.Task[None]) -> None:
        self.pending -= 1

    async def _send(self, event: str, chat_id: str, body: bytes, passage: Passage, delay: float) -> None:
        try:
            await asyncio.sleep(delay)
            await passage.free.wait()
            await self._post(event, chat_id, body)
        finally:
            passage.done.set()

    async def _post(self, event: str, chat_id: str, body: bytes) -> None:
        settings = self._settings
        url = settings.chats_webhook_url.replace(":scope_id", settings.scope_id)
        headers = {"Content-Type": JSON, "X-Signature": sign_body(settings.channel_secret.get_secret_value(), body)}
        timeout = aiohttp.ClientTimeout(total=settings.chats_webhook_timeout_seconds)
        at = self._now()
        # The newline travels but is not signed, as captured requests show.
        status = await post(self._session(), url, body + b"\n", headers, timeout)
        self.attempts.append(Attempt(event, chat_id, url, 1, "", at, status, round(self._now() - at, 4)))
        if not 100 <= status <= 299:
            log.warning("chats_webhook.refused", chat_id=chat_id, status=status)
