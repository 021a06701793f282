"""REST v4: the account, its users and its webhook subscriptions."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Hal, Problem, page_links, page_of, read_json
from kommo_simulator.settings import EVENTS
from kommo_simulator.simulator import Simulator
from kommo_simulator.webhooks_out import Subscription

MAXIMUM_SUBSCRIPTIONS = 100
_KNOWN_EVENTS = frozenset(EVENTS) | {
    "update_unsorted",
    "delete_unsorted",
    "add_lead",
    "update_lead",
    "add_contact",
    "update_contact",
    "add_chat_template_review",
}


class Subscribe(msgspec.Struct, frozen=True):
    """The body that adds or changes a webhook subscription."""

    destination: str
    settings: list[str]
    sort: int = 10


class Unsubscribe(msgspec.Struct, frozen=True):
    """The body that removes a webhook subscription."""

    destination: str


def _with(request: Request) -> set[str]:
    return set(request.query_params.get("with", "").split(","))


async def get_account(request: Request) -> Response:
    """Return the account, with its `amojo_id` when asked for."""
    settings = Simulator.of(request).settings
    body: dict[str, Any] = {
        "id": settings.account_id,
        "name": settings.subdomain,
        "subdomain": settings.subdomain,
        "current_user_id": Simulator.of(request).world.users[0].id,
        "country": "AR",
        "currency": "ARS",
        "_links": page_links(request, False, 1),
    }
    if "amojo_id" in _with(request):
        body["amojo_id"] = settings.amojo_id
    return Hal(body)


async def list_users(request: Request) -> Response:
    """Return the users, with their `amojo_id`s when asked for."""
    page, limit = page_of(request)
    users = Simulator.of(request).world.users
    with_amojo = "amojo_id" in _with(request)
    shown = [
        {"id": user.id, "name": user.name, "email": f"user{user.id}@example.com", "lang": "es"}
        | ({"amojo_id": user.amojo_id} if with_amojo else {})
        for user in users[(page - 1) * limit : page * limit]
    ]
    if not shown:
        return Response(status_code=204)
    links = page_links(request, page * limit < len(users), page)
    return Hal({"_page": page, "_total_items": len(users), "_links": links, "_embedded": {"users": shown}})


async def list_webhooks(request: Request) -> Response:
    """Return the webhook subscriptions, or the one of a destination."""
    simulator = Simulator.of(request)
    wanted = request.query_params.get("filter[destination]")
    shown = [
        _shown(simulator, subscription)
        for subscription in simulator.stage.webhooks.subscriptions.values()
        if wanted in (None, subscription.destination)
    ]
    return Hal({"_links": page_links(request, False, 1), "_embedded": {"webhooks": shown}})


async def add_webhook(request: Request) -> Response:
    """Add a subscription, or change and switch on the one with the same destination."""
    simulator, body = Simulator.of(request), await read_json(request, Subscribe)
    webhooks = simulator.stage.webhooks
    if urlsplit(body.destination).scheme not in ("http", "https"):
        raise Problem(400, "This value is not a valid URL.", "destination")
    if not body.settings or not _KNOWN_EVENTS.issuperset(body.settings):
        raise Problem(400, "One or more of the given values is invalid.", "settings")
    if body.destination not in webhooks.subscriptions and len(webhooks.subscriptions) >= MAXIMUM_SUBSCRIPTIONS:
        raise Problem(400, "Too many webhooks", "destination")
    return Hal(_shown(simulator, webhooks.subscribe(body.destination, body.settings, body.sort)), 201)


async def remove_webhook(request: Request) -> Response:
    """Remove a subscription."""
    body = await read_json(request, Unsubscribe)
    if Simulator.of(request).stage.webhooks.subscriptions.pop(body.destination, None) is None:
        raise Problem(404, "Webhook not found")
    return Response(status_code=204)


def _shown(simulator: Simulator, subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "destination": subscription.destination,
        "created_at": subscription.created_at,
        "updated_at": subscription.updated_at,
        "account_id": simulator.settings.account_id,
        "created_by": simulator.world.users[0].id,
        "sort": subscription.sort,
        "disabled": subscription.disabled,
        "settings": subscription.settings,
    }


_WEBHOOKS = "/api/v4/webhooks"

ROUTES = [
    Route("/api/v4/account", get_account, methods=["GET"], name="get_account"),
    Route("/api/v4/users", list_users, methods=["GET"], name="list_users"),
    Route(_WEBHOOKS, list_webhooks, methods=["GET"], name="list_webhooks"),
    Route(_WEBHOOKS, add_webhook, methods=["POST"], name="add_webhook"),
    Route(_WEBHOOKS, remove_webhook, methods=["DELETE"], name="remove_webhook"),
]
