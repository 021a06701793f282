"""REST v4: talks, their messages, send_message and close."""

import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator import adoption
from kommo_simulator.answers import Hal, Json, Problem, number, page_links, page_of, read_json
from kommo_simulator.faults import DELIVERY_ERROR
from kommo_simulator.model import Message, Talk, Via
from kommo_simulator.simulator import Simulator
from kommo_simulator.state import World

TALKS_LISTED = 250
MAXIMUM_TEXT = 4096


class SendMessage(msgspec.Struct, frozen=True):
    """The body of send_message."""

    text: str


class CloseTalk(msgspec.Struct, frozen=True):
    """The body of close."""

    force_close: bool = False


async def send_message(request: Request) -> Response:
    """Queue a text for the client of a talk."""
    simulator = Simulator.of(request)
    if not simulator.settings.plan_has_addon:
        raise Problem(402, "Endpoint not available for current account tariff")
    _require_scope(simulator, "send_external_messages")
    body = await read_json(request, SendMessage)
    if not body.text.strip() or len(body.text) > MAXIMUM_TEXT:
        raise Problem(400, "This value is not valid.", "text")
    talk = adoption.talk_by_id(simulator.world, _talk_id(request))
    if talk is None:
        raise Problem(404, "Talk not found")
    if not talk.is_in_work:
        raise Problem(422, "Talk is closed")
    if not simulator.quota.take():
        raise Problem(402, "Over chat API limit")
    message = await simulator.stage.api_sends(talk, body.text, Via.TALK_MESSAGE, DELIVERY_ERROR in request.scope)
    return Json({"id": message.id}, 202, background=simulator.stage.echo_after(message))


async def get_talk(request: Request) -> Response:
    """Return one talk."""
    simulator = Simulator.of(request)
    return Hal(_shown(request, simulator.world, _known_talk(request)))


async def list_talks(request: Request) -> Response:
    """Return the newest talks, filtered by contact, entity or state; there is no second page."""
    simulator = Simulator.of(request)
    limit = number(request, "limit", TALKS_LISTED, TALKS_LISTED)
    talks = sorted(_filtered(request, simulator.world), key=lambda talk: (talk.updated_at, talk.id), reverse=True)
    if not talks:
        return Response(status_code=204)
    shown = [_shown(request, simulator.world, talk) for talk in talks[:limit]]
    return Hal({"_page": 1, "_links": page_links(request, False, 1), "_embedded": {"talks": shown}})


async def list_messages(request: Request) -> Response:
    """Return a page of a talk's messages, in no useful order, as Kommo does."""
    simulator = Simulator.of(request)
    _require_scope(simulator, "list_external_messages")
    page, limit = page_of(request)
    world, talk_id = simulator.world, _talk_id(request)
    if talk_id not in world.talks and world.settings.adopt_unknown_chats:
        return Response(status_code=204)
    talk = _known_talk(request)
    chat = world.chats[talk.chat_id]
    messages = [message for message in map(world.messages.__getitem__, chat.message_ids) if message.talk_id == talk.id]
    messages.sort(key=_scattered)
    shown = messages[(page - 1) * limit : page * limit]
    if not shown:
        return Response(status_code=204)
    links = page_links(request, page * limit < len(messages), page)
    return Hal({"_page": page, "_links": links, "_embedded": {"messages": [_shown_message(world, m) for m in shown]}})


async def close_talk(request: Request) -> Response:
    """Close a talk."""
    simulator, talk = Simulator.of(request), _known_talk(request)
    await read_json(request, CloseTalk)
    if not talk.is_in_work:
        raise Problem(422, "Talk is closed")
    simulator.stage.close_talk(talk)
    return Response(status_code=202)


def _require_scope(simulator: Simulator, scope: str) -> None:
    if scope not in simulator.settings.token_scopes:
        raise Problem(403, "Invalid scope")


def _talk_id(request: Request) -> int:
    talk_id: int = request.path_params["talk_id"]
    return talk_id


def _known_talk(request: Request) -> Talk:
    talk = Simulator.of(request).world.talks.get(_talk_id(request))
    if talk is None:
        raise Problem(404, "Talk not found")
    return talk


def _filtered(request: Request, world: World) -> list[Talk]:
    contact_id = request.query_params.get("filter[contact_id]", request.query_params.get("filter[contact_id][]"))
    if contact_id is not None:
        if not contact_id.isdecimal():
            raise Problem(400, "This value is not valid.", "filter.contact_id")
        talks = adoption.talks_of_contact(world, int(contact_id))
    else:
        talks = list(world.talks.values())
    entity_id = request.query_params.get("filter[entity_id]", request.query_params.get("filter[entity_id][]"))
    if entity_id is not None:
        talks = [talk for talk in talks if str(world.chats[talk.chat_id].lead_id) == entity_id]
    if request.query_params.get("filter[only_in_work]") in ("1", "true"):
        talks = [talk for talk in talks if talk.is_in_work]
    return talks


def _shown(request: Request, world: World, talk: Talk) -> dict[str, Any]:
    chat = world.chats[talk.chat_id]
    return {
        "talk_id": talk.id,
        "created_at": talk.created_at,
        "updated_at": talk.updated_at,
        "rate": 0,
        "contact_id": chat.contact_id,
        "chat_id": chat.id,
        "entity_id": chat.lead_id,
        "entity_type": "lead" if chat.lead_id else None,
        "is_in_work": talk.is_in_work,
        "is_read": talk.is_read,
        "origin": chat.origin,
        "missed_at": None,
        "account_id": world.settings.account_id,
        "status": "in_work" if talk.is_in_work else "closed",
        "_links": {"self": {"href": f"{request.base_url}api/v4/talks/{talk.id}"}},
        "_embedded": {
            "contacts": [{"id": chat.contact_id}],
            "leads": [{"id": chat.lead_id}] if chat.lead_id else [],
            "customers": [],
        },
    }


def _shown_message(world: World, message: Message) -> dict[str, Any]:
    chat, file = world.chats[message.chat_id], message.attachment
    return {
        "id": message.id,
        "type": "outgoing" if message.is_outgoing else "incoming",
        "message_type": message.message_type,
        "text": message.text,
        "created_at": message.created_at,
        "chat_id": message.chat_id,
        "talk_id": message.talk_id,
        "contact_id": chat.contact_id,
        "author": {"type": message.author.type, "name": message.author.name},
        "delivery_status": message.delivery_status,
        "attachment": {"type": file.type, "link": file.link, "file_name": file.file_name} if file else None,
        "origin": chat.origin,
        **message.extra,
    }


def _scattered(message: Message) -> str:
    return hashlib.sha1(message.id.encode(), usedforsecurity=False).hexdigest()


ROUTES = [
    Route("/api/v4/talks", list_talks, methods=["GET"], name="list_talks"),
    Route("/api/v4/talks/{talk_id:int}", get_talk, methods=["GET"], name="get_talk"),
    Route("/api/v4/talks/{talk_id:int}/messages", list_messages, methods=["GET"], name="list_messages"),
    Route("/api/v4/talks/{talk_id:int}/send_message", send_message, methods=["POST"], name="send_message"),
    Route("/api/v4/talks/{talk_id:int}/close", close_talk, methods=["POST"], name="close_talk"),
]
