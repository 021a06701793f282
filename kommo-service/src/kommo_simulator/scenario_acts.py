"""What the steps of a scenario do, and how it is undone at the end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from kommo_simulator.scenario_file import Client
from kommo_simulator.scenario_stage import PlayedChat, ScenarioStage
from kommo_simulator.scenario_steps import (
    ChatStep,
    ClientStep,
    ColleagueStep,
    FaultStep,
    HoldStep,
    ReleaseStep,
    SettingsStep,
    Step,
    SubscriptionsStep,
    WaitStep,
)


@dataclass(slots=True)
class Actor:
    """Plays client, colleague, administrator and bad luck."""

    stage: ScenarioStage
    client: Client
    undo: dict[str, tuple[str, str, Any]] = field(default_factory=dict)

    async def act(self, verb: str, step: Step) -> None:
        """Do one step."""
        acts: dict[str, Callable[[Any], Awaitable[None]]] = {
            "client": self._client_writes,
            "colleague": self._colleague_writes,
            "close_talk": self._close_talk,
            "reopen_talk": self._reopen_talk,
            "fault": self._order_fault,
            "clear_faults": self._clear_faults,
            "settings": self._change_settings,
            "subscriptions": self._switch_subscriptions,
            "hold_webhooks": self._hold,
            "release_webhooks": self._release,
            "wait": self._wait,
        }
        await acts[verb](step)

    async def clean_up(self) -> None:
        """Undo what would outlast the scenario."""
        for method, path, body in reversed(self.undo.values()):
            await self.stage.call(method, path, body)

    async def _client_writes(self, step: ClientStep) -> None:
        order = cast(dict[str, Any], msgspec.to_builtins(step))
        label = order.pop("chat")
        known = self.stage.chats.get(label)
        order |= {"chat_id": known.chat_id} if known else cast(dict[str, Any], msgspec.to_builtins(self.client))
        self.stage.tell("client", _shown(step.text, step.message_type))
        played = await self.stage.call("POST", "/control/client-messages", order)
        chat = self.stage.chats.setdefault(label, PlayedChat(played["chat_id"]))
        await self.stage.mark(chat, played["message_id"])

    async def _colleague_writes(self, step: ColleagueStep) -> None:
        order = cast(dict[str, Any], msgspec.to_builtins(step))
        chat = await self._chat(order.pop("chat"))
        self.stage.tell(f"person {'(tel)' if step.device == 'phone' else ''}".strip(), step.text)
        played = await self.stage.call("POST", "/control/colleague-messages", order | {"chat_id": chat.chat_id})
        await self.stage.mark(chat, played["message_id"])

    async def _chat(self, label: str) -> PlayedChat:
        if label not in self.stage.chats:
            # The company may write first.
            made = await self.stage.call("POST", "/control/chats", msgspec.to_builtins(self.client))
            self.stage.chats[label] = PlayedChat(made["chat_id"])
        return self.stage.chats[label]

    async def _close_talk(self, step: ChatStep) -> None:
        chat = self.stage.chat(step.chat)
        shown = (await self.stage.call("GET", f"/control/chats/{chat.chat_id}/messages"))["chat"]
        await self.stage.call("POST", f"/control/talks/{shown['talk_id']}/close", {})
        self.stage.tell("·", f"talk {shown['talk_id']} closed")

    async def _reopen_talk(self, step: ChatStep) -> None:
        chat = self.stage.chat(step.chat)
        shown = await self.stage.call("POST", f"/control/chats/{chat.chat_id}/reopen", {})
        self.stage.tell("·", f"talk {shown['talk_id']} opened")

    async def _order_fault(self, step: FaultStep) -> None:
        self.undo.setdefault("faults", ("DELETE", "/control/faults", None))
        await self.stage.call("POST", "/control/faults", msgspec.to_builtins(step))
        self.stage.tell("·", f"fault {step.action} on {step.match.operation or step.match.path or 'everything'}")

    async def _clear_faults(self, _step: Step) -> None:
        await self.stage.call("DELETE", "/control/faults")
        self.stage.tell("·", "faults withdrawn")

    async def _change_settings(self, step: SettingsStep) -> None:
        changes = cast(dict[str, Any], msgspec.to_builtins(step))
        before = await self.stage.call("GET", "/control/settings")
        undone = self.undo.get("settings", ("", "", {}))[2]
        # What was sent meanwhile stays counted, unless the scenario itself set the count.
        kept = {name: before[name] for name in changes} | undone
        self.undo["settings"] = ("PATCH", "/control/settings", kept)
        await self.stage.call("PATCH", "/control/settings", changes)
        self.stage.tell("·", ", ".join(f"{name} = {value}" for name, value in changes.items()))

    async def _switch_subscriptions(self, step: SubscriptionsStep) -> None:
        self.undo.setdefault("subscriptions", ("PATCH", "/control/subscriptions", {"disabled": False}))
        await self.stage.call("PATCH", "/control/subscriptions", {"disabled": step.disabled})
        self.stage.tell("·", f"webhooks switched {'off' if step.disabled else 'on'}")

    async def _hold(self, step: HoldStep) -> None:
        self.undo.setdefault("plan", ("DELETE", "/control/webhooks/plan", None))
        await self.stage.call("POST", "/control/webhooks/holds", {"events": step.events})
        self.stage.tell("·", f"holding webhooks: {', '.join(step.events) or 'all'}")

    async def _release(self, step: ReleaseStep) -> None:
        answer = await self.stage.call("POST", "/control/webhooks/release", msgspec.to_builtins(step))
        self.stage.tell("·", f"{answer['released']} webhooks released, order: {step.order}")

    async def _wait(self, step: WaitStep) -> None:
        self.stage.tell("·", f"waiting {step.seconds:g} s")
        await asyncio.sleep(step.seconds)


def _shown(text: str, kind: str | None) -> str:
    return f"[{kind}] {text}".rstrip() if kind else text
