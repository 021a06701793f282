"""Salesbots at work: what they say, after which time, and that a lead has one of them at a time."""

import asyncio
from collections.abc import Callable, Sequence

from kommo_simulator.bots_at_work import Wait
from kommo_simulator.model import Chat, Via
from kommo_simulator.simulator import Simulator

Texts = Callable[[], Sequence[str]]


def chat_of_lead(simulator: Simulator, lead_id: int) -> Chat | None:
    """Return the chat of a lead in which its bots speak: the one in which something was said last."""
    world = simulator.world

    def newest(chat: Chat) -> int:
        return max((world.messages[one].sequence for one in chat.message_ids), default=0)

    chats = [chat for chat in world.chats.values() if chat.lead_id == lead_id]
    return max(reversed(chats), key=newest, default=None)


def wait_for_answer(simulator: Simulator, continue_id: int, wait: Wait) -> None:
    """Let a bot wait for its continuation; it ends the wait of the one before it."""
    end_waits(simulator, simulator.world.chats[wait.chat_id])
    simulator.world.bots.waits[continue_id] = wait


def end_waits(simulator: Simulator, chat: Chat) -> None:
    """End what waits for an answer to the lead of a chat: it has one bot at a time."""
    world = simulator.world
    lead = chat.lead_id or chat.id
    over = [key for key, one in world.bots.waits.items() if (world.chats[one.chat_id].lead_id or one.chat_id) == lead]
    for key in over:
        del world.bots.waits[key]


def stop(simulator: Simulator, chat: Chat) -> None:
    """Stop the bots of a chat's lead: what they have not said yet stays unsaid."""
    end_waits(simulator, chat)
    for task in simulator.world.bots.runs.pop(chat.id, ()):
        task.cancel()


async def say(simulator: Simulator, chat: Chat, texts: Texts, *, fails: bool) -> None:
    """Let a bot say what `texts` gives at the moment it speaks: now, or after the bots' usual delay."""
    delay = simulator.settings.salesbot_delay_seconds
    if delay == 0.0:
        await _say(simulator, chat, texts, fails)
        return

    async def later() -> None:
        await asyncio.sleep(delay)
        await _say(simulator, chat, texts, fails)

    runs = simulator.world.bots.runs.setdefault(chat.id, [])
    runs[:] = [task for task in runs if not task.done()]
    runs.append(simulator.stage.background.spawn(later()))


async def _say(simulator: Simulator, chat: Chat, texts: Texts, fails: bool) -> None:
    for text in texts():
        talk = simulator.stage.talk_in_work(chat)
        message = await simulator.stage.api_sends(talk, text, Via.SALESBOT, fails)
        if simulator.settings.echo_order == "after":
            simulator.stage.echo(chat, message)
