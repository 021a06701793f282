"""The Chats API (amojo): connect, chats, messages, statuses, history, typing and reactions of the own channel."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator import chats_messages
from kommo_simulator.answers import Json, number, read_body
from kommo_simulator.chats_payload import (
    Connect,
    Disconnect,
    Event,
    NewChat,
    PayloadError,
    Reaction,
    StatusChange,
    Typing,
)
from kommo_simulator.model import Chat, Message
from kommo_simulator.signature import refusal
from kommo_simulator.simulator import Simulator

T = TypeVar("T")
_HISTORY_PAGE = 50


@dataclass(frozen=True, slots=True)
class Call:
    """One properly signed request."""

    simulator: Simulator
    request: Request
    body: bytes


Handler: TypeAlias = Callable[[Call], Response | Awaitable[Response]]


def _signed(handler: Handler, needs_scope: bool) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        simulator = Simulator.of(request)
        body = await read_body(request)
        if not needs_scope and request.path_params["channel_id"] != simulator.settings.channel_id:
            return Response(status_code=404)
        secret = simulator.settings.channel_secret.get_secret_value()
        path = request.scope["raw_path"].decode("latin-1")
        if refusal(secret, request.method, path, request.headers, body, simulator.now()) is not None:
            return Response(status_code=403)
        if needs_scope and not _is_open(simulator, request.path_params["scope_id"]):
            return Response(status_code=403)
        try:
            answer = handler(Call(simulator, request, body))
            return answer if isinstance(answer, Response) else await answer
        except PayloadError as error:
            return _refused(str(error))

    return serve


def _is_open(simulator: Simulator, scope_id: str) -> bool:
    return simulator.is_channel_connected and scope_id == simulator.settings.scope_id


def _refused(description: str) -> Response:
    return Json({"error_code": 400, "error_type": "validation_error", "error_description": description}, 400)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PayloadError(str(error)) from error


def connect(call: Call) -> Response:
    """Connect the channel to the account."""
    order = _decode(call.body, Connect)
    if order.account_id != call.simulator.settings.amojo_id:
        return Response(status_code=404)
    call.simulator.is_channel_connected = True
    return Json(
        {
            "account_id": order.account_id,
            "scope_id": call.simulator.settings.scope_id,
            "title": order.title,
            "hook_api_version": order.hook_api_version,
            "is_time_window_disabled": order.is_time_window_disabled,
        }
    )


def disconnect(call: Call) -> Response:
    """Disconnect the channel from the account."""
    if _decode(call.body, Disconnect).account_id != call.simulator.settings.amojo_id:
        return Response(status_code=404)
    call.simulator.is_channel_connected = False
    return Response(status_code=200)


def create_chat(call: Call) -> Response:
    """Create a chat, or return the one that has the conversation id."""
    order = _decode(call.body, NewChat)
    chat = chats_messages.chat_of(call.simulator, order.conversation_id, None)
    if chat is None:
        chat = chats_messages.new_chat(
            call.simulator, order.conversation_id, order.user.id, order.user.name, order.user.profile
        )
        chat.source_external_id = order.source.external_id if order.source else None
    contact = call.simulator.world.contacts[chat.contact_id]
    user: dict[str, Any] = {
        "id": chat.client_id,
        "client_id": chat.client_external_id,
        "name": chat.client_name,
        "avatar": order.user.avatar,
    }
    user |= {name: value for name, value in (("phone", contact.phone), ("email", contact.email)) if value}
    return Json({"id": chat.id, "user": user})


async def receive_event(call: Call) -> Response:
    """Take in a new message, or change one."""
    event = _decode(call.body, Event)
    if event.event_type == "edit_message":
        chats_messages.edit(call.simulator, event.payload)
        return Response(status_code=200)
    answer, message = chats_messages.take_in(call.simulator, event.payload)
    stage = call.simulator.stage
    if not message.is_outgoing:
        return Json({"new_message": answer})
    await stage.echo_before(call.simulator.world.chats[message.chat_id], message)
    return Json({"new_message": answer}, background=stage.echo_after(message))


def set_delivery_status(call: Call) -> Response:
    """Note how far a message got, by the word of the channel's owner."""
    change = _decode(call.body, StatusChange)
    message = call.simulator.world.messages.get(call.request.path_params["message_id"])
    if message is None:
        return Response(status_code=404)
    chats_messages.set_status(message, change)
    return Response(status_code=200)


def history(call: Call) -> Response:
    """Return a chat's messages, newest first; the path names the chat by Kommo's id."""
    chat = call.simulator.world.chats.get(call.request.path_params["chat_id"])
    offset = number(call.request, "offset", 0, 1_000_000, minimum=0)
    limit = number(call.request, "limit", _HISTORY_PAGE, _HISTORY_PAGE)
    if chat is None or chat.origin != call.simulator.settings.origin:
        return Response(status_code=204)
    messages = call.simulator.world.messages_of(chat)[::-1][offset : offset + limit]
    if not messages:
        return Response(status_code=204)
    return Json({"messages": [_shown(call.simulator, chat, message) for message in messages]})


def typing(call: Call) -> Response:
    """Accept that somebody is typing."""
    _decode(call.body, Typing)
    return Response(status_code=204)


def react(call: Call) -> Response:
    """Add or take away a reaction."""
    reaction = _decode(call.body, Reaction)
    known = call.simulator.world.message_by_msgid.get(reaction.msgid or "", reaction.id or "")
    message = call.simulator.world.messages.get(known)
    if (
        message is None
        or chats_messages.chat_of(call.simulator, reaction.conversation_id, reaction.conversation_ref_id) is None
    ):
        return Response(status_code=404)
    if reaction.type == "react":
        message.reactions[:] = [reaction.emoji]
    else:
        message.reactions.clear()
    return Response(status_code=200)


def _shown(simulator: Simulator, chat: Chat, message: Message) -> dict[str, Any]:
    contact, file = simulator.world.contacts[chat.contact_id], message.attachment
    client = {
        "id": chat.client_id,
        "client_id": chat.client_external_id,
        "name": chat.client_name,
        "phone": contact.phone,
    }
    sender = {"id": message.author.id, "name": message.author.name} if message.is_outgoing else client
    return {
        "timestamp": message.created_at,
        "msec_timestamp": message.created_at * 1000,
        "sender": sender,
        **({"receiver": client} if message.is_outgoing else {}),
        "message": {
            "id": message.id,
            "client_id": message.client_msgid,
            "type": message.message_type,
            "text": message.text,
            "media": file.link if file else "",
            "thumbnail": "",
            "file_name": file.file_name if file else "",
            "file_size": file.file_size if file else 0,
            **message.extra,
        },
    }


_CHANNEL = "/v2/origin/custom/{channel_id}"
_SCOPE = "/v2/origin/custom/{scope_id}"


def _scoped(path: str, handler: Handler, method: str, name: str) -> Route:
    return Route(_SCOPE + path, _signed(handler, needs_scope=True), methods=[method], name=name)


ROUTES = [
    Route(f"{_CHANNEL}/connect", _signed(connect, needs_scope=False), methods=["POST"], name="connect"),
    Route(f"{_CHANNEL}/disconnect", _signed(disconnect, needs_scope=False), methods=["DELETE"], name="disconnect"),
    _scoped("", receive_event, "POST", "new_message"),
    _scoped("/chats", create_chat, "POST", "create_chat"),
    _scoped("/chats/{chat_id}/history", history, "GET", "history"),
    _scoped("/typing", typing, "POST", "typing"),
    _scoped("/react", react, "POST", "react"),
    _scoped("/{message_id}/delivery_status", set_delivery_status, "POST", "delivery_status"),
]
