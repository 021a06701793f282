"""REST v4: which chats belong to which contacts."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Hal, Problem, page_links, read_json
from kommo_simulator.model import Chat
from kommo_simulator.simulator import Simulator
from kommo_simulator.state import World

MAXIMUM_LINKS = 250


class ChatLink(msgspec.Struct, frozen=True):
    """A chat to tie to a contact."""

    contact_id: int
    chat_id: str
    request_id: str | None = None


async def link_chats(request: Request) -> Response:
    """Tie chats to contacts, so that a chat's first message makes no contact of its own."""
    world, links = Simulator.of(request).world, await read_json(request, list[ChatLink])
    if not 1 <= len(links) <= MAXIMUM_LINKS:
        raise Problem(400, f"From 1 to {MAXIMUM_LINKS} entities a request", "")
    chats = [_checked(world, index, link) for index, link in enumerate(links)]
    shown = []
    for index, (link, chat) in enumerate(zip(links, chats, strict=True)):
        world.tie(chat, link.contact_id)
        shown.append(_shown(world, chat) | {"request_id": link.request_id or str(index)})
    return Hal({"_total_items": len(shown), "_links": page_links(request, False, 1), "_embedded": {"chats": shown}})


async def list_links(request: Request) -> Response:
    """Return the chats of contacts, or the contacts of chats."""
    world, query = Simulator.of(request).world, request.query_params
    contacts = {*query.getlist("contact_id"), *query.getlist("contact_id[]")}
    wanted = {*query.getlist("chat_id"), *query.getlist("chat_id[]")}
    if not contacts and not wanted:
        raise Problem(400, "contact_id or chat_id is required", "contact_id")
    found = [chat for chat in world.chats.values() if chat.id in wanted or str(chat.contact_id) in contacts]
    if not found:
        return Response(status_code=204)
    shown = [_shown(world, chat) for chat in found]
    return Hal({"_total_items": len(shown), "_links": page_links(request, False, 1), "_embedded": {"chats": shown}})


def _checked(world: World, index: int, link: ChatLink) -> Chat:
    chat = world.chats.get(link.chat_id)
    if chat is None:
        raise Problem(400, "Chat not found", f"{index}.chat_id")
    if link.contact_id not in world.contacts:
        if not world.settings.adopt_unknown_chats:
            raise Problem(400, "Contact not found", f"{index}.contact_id")
        world.ensure_contact(link.contact_id, f"Contact {link.contact_id}")
    return chat


def _shown(world: World, chat: Chat) -> dict[str, Any]:
    # Kommo numbers the ties; the place among all chats serves here.
    return {"id": list(world.chats).index(chat.id) + 1, "chat_id": chat.id, "contact_id": chat.contact_id}


ROUTES = [
    Route("/api/v4/contacts/chats", link_chats, methods=["POST"], name="link_chats"),
    Route("/api/v4/contacts/chats", list_links, methods=["GET"], name="list_chat_links"),
]
