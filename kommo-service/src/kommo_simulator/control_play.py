"""The control API, acting side: play a client or a colleague, close talks, make chats, start again."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.chats_bodies import TYPING_SECONDS, reaction_hook, typing_hook
from kommo_simulator.control import shown_chat
from kommo_simulator.lines import ClientLine, ColleagueLine
from kommo_simulator.model import Chat, DeliveryStatus, Message
from kommo_simulator.simulator import Simulator


class NewChat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat to make, with an open talk and no message; `lead_id` names the lead, which other chats may have too."""

    chat_id: str | None = None
    contact_id: int | None = None
    origin: str = "waba"
    name: str = "Cliente de prueba"
    phone: str = ""
    lead: bool = True
    lead_id: int | None = None
    talk_id: int | None = None


class TypingOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user of the account types in a chat of the own channel."""

    chat_id: str
    user: int | None = None


class ReactionOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user reacts to a message of the own channel; an empty emoji takes the reaction away.

    `as_message` names the message as the field table of the documentation does, not as its sample.
    """

    message_id: str
    emoji: str = "👍"
    user: int | None = None
    as_message: bool = False


class StatusChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A delivery status to give a message."""

    delivery_status: DeliveryStatus


async def play_client(request: Request) -> Response:
    """Play a client's message; answers at once, the webhooks follow."""
    simulator, line = Simulator.of(request), await read_json(request, ClientLine)
    if not 1 <= line.copies <= 100:
        raise Problem(400, "copies is from 1 to 100", "copies")
    if max(line.delay_seconds, line.late_file_seconds or 0.0) > 86_400:
        raise Problem(400, "a webhook is at most 86400 s late", "delay_seconds")
    return _played(simulator, simulator.stage.client_writes(line))


async def play_colleague(request: Request) -> Response:
    """Play a message that the company writes, in the inbox or on its phone."""
    simulator, line = Simulator.of(request), await read_json(request, ColleagueLine)
    chat = _chat(simulator, line.chat_id)
    _check_user(simulator, line.user)
    if not (line.text or line.attachments or line.list_message):
        raise Problem(400, "text or attachments is required", "text")
    if line.id in simulator.world.messages:
        raise Problem(400, "id is that of another message", "id")
    if line.device == "phone" and chat.origin == simulator.settings.origin:
        raise Problem(422, "The phone of the own channel is its owner's: import the message instead")
    return _played(simulator, simulator.stage.colleague_writes(chat, line))


async def play_typing(request: Request) -> Response:
    """Play a user who types in the own channel; heard by who subscribed to typing, every 5 s at most."""
    simulator, order = Simulator.of(request), await read_json(request, TypingOrder)
    chat = _own_chat(simulator, order.chat_id)
    _check_user(simulator, order.user)
    now = simulator.world.seconds()
    if now - simulator.world.typed_at.get(chat.id, 0) >= TYPING_SECONDS:
        simulator.world.typed_at[chat.id] = now
        user = simulator.world.user(order.user)
        body = typing_hook(simulator.settings, chat, user.amojo_id or str(user.id), now)
        simulator.stage.chats_hooks.send("typing", chat.id, body)
    return Response(status_code=204)


async def play_reaction(request: Request) -> Response:
    """Play a user who reacts to a message of the own channel."""
    simulator, order = Simulator.of(request), await read_json(request, ReactionOrder)
    world, message = simulator.world, simulator.world.messages.get(order.message_id)
    if message is None:
        raise Problem(404, "Message not found")
    chat = _own_chat(simulator, message.chat_id)
    _check_user(simulator, order.user)
    message.reactions[:] = [order.emoji] if order.emoji else []
    user_id = world.user(order.user).amojo_id or str(world.user(order.user).id)
    body = reaction_hook(simulator.settings, chat, message, user_id, order.emoji, world.seconds(), order.as_message)
    simulator.stage.chats_hooks.send("reaction", chat.id, body)
    return Response(status_code=204)


async def reopen_talk(request: Request) -> Response:
    """Reopen a closed chat as a user would: it gets another talk, with a number of its own."""
    simulator = Simulator.of(request)
    chat = _chat(simulator, request.path_params["chat_id"])
    if simulator.world.current_talk(chat) is not None:
        raise Problem(422, "Talk is open")
    simulator.stage.talk_in_work(chat)
    return Json(shown_chat(simulator.world, chat), 201)


async def close_talk(request: Request) -> Response:
    """Close a talk as a user would."""
    simulator = Simulator.of(request)
    talk = simulator.world.talks.get(request.path_params["talk_id"])
    if talk is None:
        raise Problem(404, "Talk not found")
    if not talk.is_in_work:
        raise Problem(422, "Talk is closed")
    simulator.stage.close_talk(talk)
    return Response(status_code=204)


async def make_chat(request: Request) -> Response:
    """Make a chat with an open talk, or return the one that exists."""
    simulator, new = Simulator.of(request), await read_json(request, NewChat)
    world = simulator.world
    chat = world.chats.get(new.chat_id or "")
    if chat is None:
        contact = world.ensure_contact(new.contact_id, new.name, new.phone)
        chat = world.add_chat(new.chat_id, contact, new.origin, new.lead, lead_id=new.lead_id)
    if new.talk_id is not None and new.talk_id not in world.talks:
        world.open_talk(chat, new.talk_id)
    if world.current_talk(chat) is None:
        world.open_talk(chat)
    return Json(shown_chat(world, chat), 201)


async def change_delivery_status(request: Request) -> Response:
    """Give a message another delivery status."""
    change = await read_json(request, StatusChange)
    message = Simulator.of(request).world.messages.get(request.path_params["message_id"])
    if message is None:
        raise Problem(404, "Message not found")
    message.delivery_status = change.delivery_status
    return Response(status_code=204)


async def reset(request: Request) -> Response:
    """Start again."""
    Simulator.of(request).reset()
    return Response(status_code=204)


def _chat(simulator: Simulator, chat_id: str) -> Chat:
    chat = simulator.world.chats.get(chat_id)
    if chat is None:
        raise Problem(404, "Chat not found")
    return chat


def _own_chat(simulator: Simulator, chat_id: str) -> Chat:
    chat = _chat(simulator, chat_id)
    if chat.origin != simulator.settings.origin:
        raise Problem(422, "Only the own channel hears of typing and reactions")
    return chat


def _check_user(simulator: Simulator, user_id: int | None) -> None:
    if user_id is not None and all(user.id != user_id for user in simulator.world.users):
        raise Problem(400, "user is the id of no user", "user")


def _played(simulator: Simulator, message: Message) -> Response:
    chat = simulator.world.chats[message.chat_id]
    body = {
        "message_id": message.id,
        "chat_id": chat.id,
        "talk_id": message.talk_id,
        "contact_id": chat.contact_id,
        "lead_id": chat.lead_id,
    }
    return Json(body, 201)


ROUTES = [
    Route("/control/client-messages", play_client, methods=["POST"], name="control_client"),
    Route("/control/colleague-messages", play_colleague, methods=["POST"], name="control_colleague"),
    Route("/control/typing", play_typing, methods=["POST"], name="control_typing"),
    Route("/control/reactions", play_reaction, methods=["POST"], name="control_reaction"),
    Route("/control/chats/{chat_id}/reopen", reopen_talk, methods=["POST"], name="control_reopen"),
    Route("/control/talks/{talk_id:int}/close", close_talk, methods=["POST"], name="control_close"),
    Route("/control/chats", make_chat, methods=["POST"], name="control_make_chat"),
    Route("/control/messages/{message_id}/status", change_delivery_status, methods=["POST"], name="control_mark"),
    Route("/control/reset", reset, methods=["POST"], name="control_reset"),
]
