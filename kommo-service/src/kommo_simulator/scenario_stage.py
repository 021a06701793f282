"""The simulator as a scenario sees it: what is done through the control API, and what is read back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

# Messages that people wrote; whatever else the company sent is a reply.
_BY_PEOPLE = ("inbox", "phone")


class Failed(Exception):
    """The scenario cannot go on; the text says why."""


@dataclass(slots=True)
class PlayedChat:
    """A chat of a scenario: its id, the number of its last word by client or colleague, and what was shown."""

    chat_id: str
    mark: int = 0
    shown: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ScenarioStage:
    """Calls the control API for one scenario and keeps its transcript."""

    control: httpx.AsyncClient
    say: Callable[[str], None]
    patience: float = 1.0
    clock: Callable[[], float] = time.monotonic
    chats: dict[str, PlayedChat] = field(default_factory=dict)
    started: float = 0.0
    requests_before: int = 0

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Return the answer of a control request; None when it is empty.

        Raises:
            Failed: the simulator cannot be reached, or refuses.
        """
        try:
            answer = await self.control.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            raise Failed(f"the simulator at {self.control.base_url} cannot be reached: {error}") from error
        if answer.is_error:
            raise Failed(f"the simulator refused {method} {path}: {_detail(answer)}")
        return answer.json() if answer.content else None

    def tell(self, who: str, text: str) -> None:
        """Add a line to the transcript."""
        seconds = self.clock() - self.started
        first, *others = text.splitlines() or [""]
        self.say(f"{seconds:7.1f} s  {who:<12} {first}")
        for row in others:
            self.say(f"{'':9}  {'':<12} {row}")

    def chat(self, label: str) -> PlayedChat:
        """Return the chat of that name.

        Raises:
            Failed: nobody wrote in it yet.
        """
        if label not in self.chats:
            raise Failed(f"nobody has written in the chat {label!r} yet")
        return self.chats[label]

    async def messages(self, chat: PlayedChat) -> list[dict[str, Any]]:
        """Return a chat's messages by their number, telling the new ones of the bot."""
        path = f"/control/chats/{chat.chat_id}/messages"
        found: list[dict[str, Any]] = (await self.call("GET", path))["messages"]
        found.sort(key=lambda message: int(message["sequence"]))
        for message in found:
            if is_reply(message) and message["id"] not in chat.shown:
                chat.shown.add(message["id"])
                self.tell("bot", message["text"])
        return found

    async def replies(self, chat: PlayedChat) -> list[dict[str, Any]]:
        """Return the replies after the chat's mark; those known as failed are none."""
        return [
            message
            for message in await self.messages(chat)
            if is_reply(message) and message["sequence"] > chat.mark and message["delivery_status"] != "error"
        ]

    async def mark(self, chat: PlayedChat, message_id: str) -> None:
        """Let replies count from this message on."""
        numbers = [message["sequence"] for message in await self.messages(chat) if message["id"] == message_id]
        chat.mark = max([chat.mark, *numbers])


def is_reply(message: dict[str, Any]) -> bool:
    """Tell whether a message is the bot's."""
    return message["type"] == "outgoing" and message["via"] not in _BY_PEOPLE


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"status {answer.status_code}"
    errors = [error for part in body.get("validation-errors", ()) for error in part.get("errors", ())]
    said = "; ".join(f"{error['path']}: {error['detail']}" for error in errors) or body.get("detail", "")
    return f"{answer.status_code} {said}".strip()
