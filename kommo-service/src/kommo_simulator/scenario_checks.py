"""What a scenario expects: each check waits until it holds, or fails when its time is over."""

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kommo_simulator.scenario_stage import Failed, ScenarioStage, is_reply
from kommo_simulator.scenario_steps import (
    LeadExpected,
    RecordExpected,
    RepliesExpected,
    ReplyExpected,
    RequestsExpected,
    SilenceExpected,
    Step,
    TagExpected,
    Words,
)

_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Checker:
    """Checks expectations against what the simulator has seen."""

    stage: ScenarioStage
    within_seconds: float

    async def check(self, verb: str, step: Step) -> str:
        """Return what was found.

        Raises:
            Failed: the expectation does not hold.
        """
        checks: dict[str, Callable[[Any], Awaitable[str]]] = {
            "expect_reply": self._reply,
            "expect_replies": self._replies,
            "expect_no_reply": self._silence,
            "expect_note": lambda step: self._record("notes", step),
            "expect_task": lambda step: self._record("tasks", step),
            "expect_tag": self._tag,
            "expect_lead": self._lead,
            "expect_requests": self._requests,
        }
        return await checks[verb](step)

    async def _until(self, look: Callable[[], Awaitable[str | None]], within: float | None) -> str | None:
        """Return None once `look` has no complaint, else its last complaint when the time is over."""
        seconds = (self.within_seconds if within is None else within) * self.stage.patience
        end = self.stage.clock() + seconds
        while True:
            complaint = await look()
            if complaint is None:
                return None
            if self.stage.clock() >= end:
                return f"{complaint} (waited {seconds:g} s)"
            await asyncio.sleep(_POLL_SECONDS)

    async def _throughout(self, look: Callable[[], Awaitable[str | None]], seconds: float, found: str) -> str:
        """Return `found` when `look` has no complaint for so many seconds.

        Raises:
            Failed: it had one.
        """
        end = self.stage.clock() + seconds
        while True:
            complaint = await look()
            if complaint is not None:
                raise Failed(complaint)
            if self.stage.clock() >= end:
                return found
            await asyncio.sleep(_POLL_SECONDS)

    async def _require(self, look: Callable[[], Awaitable[str | None]], within: float | None, found: str) -> str:
        complaint = await self._until(look, within)
        if complaint is not None:
            raise Failed(complaint)
        return found

    async def _reply(self, step: ReplyExpected) -> str:
        chat = self.stage.chat(step.chat)

        async def look() -> str | None:
            if step.delivery_status == "error":
                messages = [m for m in await self.stage.messages(chat) if is_reply(m) and m["sequence"] > chat.mark]
            else:
                messages = await self.stage.replies(chat)
            return _reply_complaint(step, messages)

        return await self._require(look, step.within_seconds, "reply" + _wanted(step.contains))

    async def _replies(self, step: RepliesExpected) -> str:
        chat = self.stage.chat(step.chat)

        async def too_few() -> str | None:
            count = len(await self.stage.replies(chat))
            return None if count >= step.exactly else f"{count} replies, expected {step.exactly}"

        async def other() -> str | None:
            count = len(await self.stage.replies(chat))
            return None if count == step.exactly else f"{count} replies, expected {step.exactly}"

        await self._require(too_few, step.within_seconds, "")
        found = f"exactly {step.exactly} replies, none more for {step.settle_seconds:g} s"
        return await self._throughout(other, step.settle_seconds, found)

    async def _silence(self, step: SilenceExpected) -> str:
        chat = self.stage.chat(step.chat)
        before = {message["id"] for message in await self.stage.messages(chat)}

        async def look() -> str | None:
            new = [m for m in await self.stage.messages(chat) if is_reply(m) and m["id"] not in before]
            return "a reply came where none was expected" if new else None

        return await self._throughout(look, step.seconds, f"no reply for {step.seconds:g} s")

    async def _record(self, kind: str, step: RecordExpected) -> str:
        async def look() -> str | None:
            texts = [_text_of(record) for record in (await self._records(step.chat))[kind]]
            found = [text for text in texts if not _missing(step.contains, text)]
            if step.exactly is not None:
                complaint = f"{len(found)} {kind}{_wanted(step.contains)}, expected {step.exactly}"
                return None if len(found) == step.exactly else complaint
            return None if found else f"none of {len(texts)} {kind}{_wanted(step.contains)}"

        return await self._require(look, step.within_seconds, kind[:-1] + _wanted(step.contains))

    async def _tag(self, step: TagExpected) -> str:
        async def look() -> str | None:
            records = await self._records(step.chat)
            holders = [records["contact"], records["lead"]]
            names = [tag["name"] for holder in holders if holder for tag in holder["tags"]]
            return None if step.name in names else f"no tag {step.name!r} among {names}"

        return await self._require(look, step.within_seconds, f"tag {step.name!r}")

    async def _lead(self, step: LeadExpected) -> str:
        async def look() -> str | None:
            lead = (await self._records(step.chat))["lead"] or {}
            wrong = {name: lead.get(name) for name, value in step.values.items() if lead.get(name) != value}
            return f"the lead has {wrong}" if wrong else None

        return await self._require(look, step.within_seconds, f"lead with {step.values}")

    async def _requests(self, step: RequestsExpected) -> str:
        async def look() -> str | None:
            found = (await self.stage.call("GET", "/control/requests"))["requests"][self.stage.requests_before :]
            count = sum(entry["operation"] == step.operation and _fits(entry, step.status) for entry in found)
            too_few = count < (step.at_least or 0)
            is_wrong = step.exactly is not None and count != step.exactly
            return f"{count} requests of {step.operation}" if too_few or is_wrong else None

        return await self._require(look, step.within_seconds, f"requests of {step.operation} as expected")

    async def _records(self, label: str) -> dict[str, Any]:
        path = f"/control/chats/{self.stage.chat(label).chat_id}/records"
        records: dict[str, Any] = await self.stage.call("GET", path)
        return records


def _reply_complaint(step: ReplyExpected, messages: list[dict[str, Any]]) -> str | None:
    if not messages:
        return "no reply came"
    text = "\n".join(message["text"] for message in messages)
    if missing := _missing(step.contains, text):
        return f"no reply contains {missing}"
    if step.matches is not None and not re.search(step.matches, text, re.IGNORECASE | re.MULTILINE):
        return f"no reply matches {step.matches!r}"
    if step.any_of and all(_missing(word, text) for word in step.any_of):
        return f"no reply contains any of {step.any_of}"
    if present := [word for word in _words(step.lacks) if not _missing(word, text)]:
        return f"a reply contains {present}"
    statuses = [message["delivery_status"] for message in messages]
    if step.delivery_status is not None and step.delivery_status not in statuses:
        return f"delivery statuses are {statuses}, expected {step.delivery_status}"
    return None


def _fits(entry: dict[str, Any], status: int | None) -> bool:
    return status is None or entry["status"] == status


def _text_of(record: dict[str, Any]) -> str:
    return str(record["text"] if "text" in record else record["params"].get("text", ""))


def _words(words: Words) -> list[str]:
    return [words] if isinstance(words, str) else words


def _missing(words: Words, text: str) -> list[str]:
    plain = _plain(text)
    return [word for word in _words(words) if _plain(word) not in plain]


def _plain(text: str) -> str:
    # Without case and accents, so that a scenario does not hang on how a reply is spelt.
    parts = unicodedata.normalize("NFD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _wanted(words: Words) -> str:
    found = _words(words)
    return f" containing {', '.join(map(repr, found))}" if found else ""
