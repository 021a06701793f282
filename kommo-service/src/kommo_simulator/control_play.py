"""The control API, acting side: play a client or a colleague, close talks, make chats, start again."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.control import shown_chat
from kommo_simulator.model import DeliveryStatus, Message
from kommo_simulator.simulator import Simulator
from kommo_simulator.stage import ClientLine


class ColleagueLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to play as a user of the account."""

    chat_id: str
    text: str
    user: int | None = None


class NewChat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat to make, with an open talk and no message."""

    chat_id: str | None = None
    contact_id: int | None = None
    origin: str = "waba"
    name: str = "Cliente de prueba"
    phone: str = ""
    lead: bool = True
    talk_id: int | None = None


class StatusChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A delivery status to give a message."""

    delivery_status: DeliveryStatus


async def play_client(request: Request) -> Response:
    """Play a client's message; answers at once, the webhooks follow."""
    simulator, line = Simulator.of(request), await read_json(request, ClientLine)
    if not 1 <= line.copies <= 100:
        raise Problem(400, "copies is from 1 to 100", "copies")
    return _played(simulator, simulator.stage.client_writes(line))


async def play_colleague(request: Request) -> Response:
    """Play a message that a user of the account writes in the inbox."""
    simulator, line = Simulator.of(request), await read_json(request, ColleagueLine)
    chat = simulator.world.chats.get(line.chat_id)
    if chat is None:
        raise Problem(404, "Chat not found")
    if line.user is not None and all(user.id != line.user for user in simulator.world.users):
        raise Problem(400, "user is the id of no user", "user")
    return _played(simulator, simulator.stage.colleague_writes(chat, line.text, line.user))


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
        chat = world.add_chat(new.chat_id, contact, new.origin, new.lead)
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
    Route("/control/talks/{talk_id:int}/close", close_talk, methods=["POST"], name="control_close"),
    Route("/control/chats", make_chat, methods=["POST"], name="control_make_chat"),
    Route("/control/messages/{message_id}/status", change_delivery_status, methods=["POST"], name="control_mark"),
    Route("/control/reset", reset, methods=["POST"], name="control_reset"),
]
