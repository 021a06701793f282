"""The control API, reading side and faults: what each party has seen, and what is to go wrong."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.faults import FaultOrder
from kommo_simulator.media import MediaStore
from kommo_simulator.model import Chat, DeliveryStatus, Message
from kommo_simulator.simulator import Simulator
from kommo_simulator.state import World


async def list_chats(request: Request) -> Response:
    """Return all chats, the one with the newest message first."""
    world = Simulator.of(request).world
    chats = sorted(world.chats.values(), key=lambda chat: _last_sequence(world, chat), reverse=True)
    return Json({"chats": [shown_chat(world, chat) for chat in chats]})


async def list_chat_messages(request: Request) -> Response:
    """Return a chat's messages, oldest first."""
    world, media = Simulator.of(request).world, Simulator.of(request).media
    chat = known_chat(request)
    return Json(
        {"chat": shown_chat(world, chat), "messages": [shown_message(m, media) for m in world.messages_of(chat)]}
    )


async def list_deliveries(request: Request) -> Response:
    """Return the company's messages that reached clients, oldest first.

    Query: `chat_id`, `talk_id`, `via` narrow the list; `delivery_status` names one status instead of all but `error`.
    """
    world, query = Simulator.of(request).world, request.query_params
    if query.get("chat_id"):
        chats = [chat for chat in (world.chats.get(query["chat_id"]),) if chat]
        found = [message for chat in chats for message in world.messages_of(chat)]
    else:
        found = sorted(world.messages.values(), key=lambda message: message.sequence)
    wanted = query.get("delivery_status")
    shown = [
        shown_message(message, Simulator.of(request).media)
        for message in found
        if message.is_outgoing
        and (message.delivery_status == wanted if wanted else message.delivery_status is not DeliveryStatus.ERROR)
        and query.get("talk_id", str(message.talk_id)) == str(message.talk_id)
        and query.get("via", message.via) == message.via
    ]
    return Json({"deliveries": shown})


async def list_requests(request: Request) -> Response:
    """Return the API requests received, oldest first; a status of null was never answered."""
    simulator, operation = Simulator.of(request), request.query_params.get("operation")
    return Json({"requests": [entry for entry in simulator.received if operation in (None, entry.operation)]})


async def list_webhook_attempts(request: Request) -> Response:
    """Return the webhook requests made and their answers, and how many are still to come."""
    stage = Simulator.of(request).stage
    chat_id = request.query_params.get("chat_id")
    attempts = [
        attempt
        for attempt in (*stage.webhooks.attempts, *stage.chats_hooks.attempts)
        if chat_id in (None, attempt.chat_id)
    ]
    subscriptions = [
        {"destination": s.destination, "settings": s.settings, "disabled": s.disabled, "failures": len(s.failed_at)}
        for s in stage.webhooks.subscriptions.values()
    ]
    pending = stage.webhooks.pending + stage.chats_hooks.pending
    plan = Simulator.of(request).plan
    held = [{"event": passage.event, "chat_id": passage.chat_id} for passage in plan.held]
    body = {"attempts": attempts, "pending": pending, "subscriptions": subscriptions, "held": held, **plan.orders}
    return Json(body)


async def show_records(request: Request) -> Response:
    """Return what the account holds about a chat's client: contact, lead, their notes and tasks."""
    world, chat = Simulator.of(request).world, known_chat(request)
    lead = world.leads.get(chat.lead_id or 0)
    mine = {("contacts", chat.contact_id), ("leads", chat.lead_id)}
    return Json(
        {
            "contact": world.contacts[chat.contact_id],
            "lead": lead,
            "notes": [note for note in world.notes.values() if (note.entity_type, note.entity_id) in mine],
            "tasks": [task for task in world.tasks.values() if (task.entity_type, task.entity_id) in mine],
        }
    )


async def get_status(request: Request) -> Response:
    """Return what the simulator plays and how much happened."""
    simulator = Simulator.of(request)
    settings, world = simulator.settings, simulator.world
    return Json(
        {
            "account_id": settings.account_id,
            "subdomain": settings.subdomain,
            "amojo_id": settings.amojo_id,
            "scope_id": settings.scope_id,
            "is_channel_connected": simulator.is_channel_connected,
            "own_origin": settings.origin,
            "quota": {"limit": settings.quota, "used": simulator.quota.used},
            "plan_has_addon": settings.plan_has_addon,
            "disabled_subscriptions": sum(s.disabled for s in simulator.stage.webhooks.subscriptions.values()),
            "chats": len(world.chats),
            "messages": len(world.messages),
            "notes": len(world.notes),
            "tasks": len(world.tasks),
            "requests": len(simulator.received),
        }
    )


async def list_faults(request: Request) -> Response:
    """Return the ordered faults."""
    return Json({"faults": Simulator.of(request).faults.all})


async def add_fault(request: Request) -> Response:
    """Order a fault."""
    return Json(Simulator.of(request).faults.add(await read_json(request, FaultOrder)), 201)


async def clear_faults(request: Request) -> Response:
    """Withdraw all faults."""
    Simulator.of(request).faults.clear()
    return Response(status_code=204)


def known_chat(request: Request) -> Chat:
    """Return the chat that the path names.

    Raises:
        Problem: there is none.
    """
    chat = Simulator.of(request).world.chats.get(request.path_params["chat_id"])
    if chat is None:
        raise Problem(404, "Chat not found")
    return chat


def shown_chat(world: World, chat: Chat) -> dict[str, Any]:
    """Return a chat as the control API shows it."""
    talk = world.current_talk(chat)
    return {
        "chat_id": chat.id,
        "origin": chat.origin,
        "name": chat.client_name,
        "contact_id": chat.contact_id,
        "lead_id": chat.lead_id,
        "conversation_id": chat.conversation_id,
        "talk_id": chat.talk_ids[-1] if chat.talk_ids else None,
        "is_in_work": talk is not None,
        "messages": len(chat.message_ids),
        "last_sequence": _last_sequence(world, chat),
    }


def shown_message(message: Message, media: MediaStore) -> dict[str, Any]:
    """Return a message as the control API shows it; `media_path` is where its file can be had here."""
    return {
        "id": message.id,
        "sequence": message.sequence,
        "chat_id": message.chat_id,
        "talk_id": message.talk_id,
        "type": "outgoing" if message.is_outgoing else "incoming",
        "text": message.text,
        "message_type": message.message_type,
        "attachment": msgspec.to_builtins(message.attachment),
        "media_path": media.path_of(message.attachment) if message.attachment else None,
        "extra": message.extra,
        "created_at": message.created_at,
        "author_type": message.author.type,
        "author_name": message.author.name,
        "delivery_status": message.delivery_status,
        "via": message.via,
        "msgid": message.client_msgid,
        "reactions": message.reactions,
    }


def _last_sequence(world: World, chat: Chat) -> int:
    return world.messages[chat.message_ids[-1]].sequence if chat.message_ids else 0


ROUTES = [
    Route("/control/status", get_status, methods=["GET"], name="control_status"),
    Route("/control/chats", list_chats, methods=["GET"], name="control_chats"),
    Route("/control/chats/{chat_id}/messages", list_chat_messages, methods=["GET"], name="control_messages"),
    Route("/control/chats/{chat_id}/records", show_records, methods=["GET"], name="control_records"),
    Route("/control/deliveries", list_deliveries, methods=["GET"], name="control_deliveries"),
    Route("/control/requests", list_requests, methods=["GET"], name="control_requests"),
    Route("/control/webhooks", list_webhook_attempts, methods=["GET"], name="control_webhooks"),
    Route("/control/faults", list_faults, methods=["GET"], name="control_faults"),
    Route("/control/faults", add_fault, methods=["POST"], name="control_add_fault"),
    Route("/control/faults", clear_faults, methods=["DELETE"], name="control_clear_faults"),
]
