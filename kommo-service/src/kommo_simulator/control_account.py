"""The control API, account side: settings that change at run time, subscriptions, and when webhooks leave."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.simulator import Simulator
from kommo_simulator.webhook_plan import DelayOrder, HoldOrder, ReleaseOrder, let_go


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings to change; what is absent stays."""

    plan_has_addon: bool | UnsetType = UNSET
    quota: int | UnsetType = UNSET
    quota_used: int | UnsetType = UNSET
    rate: int | UnsetType = UNSET
    token_scopes: list[str] | UnsetType = UNSET
    echo: str | UnsetType = UNSET
    echo_order: str | UnsetType = UNSET
    echo_shapes: list[str] | UnsetType = UNSET
    raise_talk_events: bool | UnsetType = UNSET
    raise_unsorted: bool | UnsetType = UNSET
    delivery_delay_seconds: float | UnsetType = UNSET
    whatsapp_window_hours: float | UnsetType = UNSET
    clock_ahead_seconds: float | UnsetType = UNSET
    salesbot_id: int | UnsetType = UNSET
    salesbot_field_id: int | UnsetType = UNSET
    salesbot_delay_seconds: float | UnsetType = UNSET
    lead_field_limit: int | UnsetType = UNSET
    adopt_unknown_chats: bool | UnsetType = UNSET
    serve_media: bool | UnsetType = UNSET
    media_placeholder: str | UnsetType = UNSET
    chats_webhook_url: str | UnsetType = UNSET
    chats_webhook_events: list[str] | UnsetType = UNSET


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Switches a subscription to CRM webhooks off or on; no destination means all of them."""

    disabled: bool
    destination: str | None = None


async def show_settings(request: Request) -> Response:
    """Return the settings that may change."""
    return Json(_shown(Simulator.of(request)))


async def change_settings(request: Request) -> Response:
    """Change settings, all that are given or none."""
    simulator, order = Simulator.of(request), await read_json(request, Changes)
    changes = {name: value for name in order.__struct_fields__ if (value := getattr(order, name)) is not UNSET}
    used = changes.pop("quota_used", None)
    if used is not None and used < 0:
        raise Problem(400, "quota_used is not negative", "quota_used")
    try:
        simulator.change_settings(changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem(400, first["msg"], ".".join(map(str, first["loc"]))) from error
    if used is not None:
        simulator.quota.set_used(used)
    return Json(_shown(simulator))


async def switch_subscription(request: Request) -> Response:
    """Switch subscriptions off, as Kommo does after too many failures, or on, as an administrator does."""
    webhooks, order = Simulator.of(request).stage.webhooks, await read_json(request, Switch)
    wanted = list(webhooks.subscriptions) if order.destination is None else [order.destination]
    if not all(webhooks.switch(destination, order.disabled) for destination in wanted):
        raise Problem(404, "Webhook not found")
    return Response(status_code=204)


async def delay_webhooks(request: Request) -> Response:
    """Let webhooks leave late."""
    plan, order = Simulator.of(request).plan, await read_json(request, DelayOrder)
    if not 0 <= order.delay_seconds <= 86_400:
        raise Problem(400, "delay_seconds is from 0 to 86400", "delay_seconds")
    plan.delay(order)
    return Json(plan.orders, 201)


async def hold_webhooks(request: Request) -> Response:
    """Hold back webhooks from now on."""
    plan = Simulator.of(request).plan
    plan.hold(await read_json(request, HoldOrder))
    return Json(plan.orders, 201)


async def release_webhooks(request: Request) -> Response:
    """Let held webhooks go, one after the other, in the order wanted."""
    simulator = Simulator.of(request)
    released = simulator.plan.release(await read_json(request, ReleaseOrder))
    simulator.stage.background.spawn(let_go(released))
    return Json({"released": len(released), "held": len(simulator.plan.held)})


async def clear_plan(request: Request) -> Response:
    """Withdraw delays and holds; what is held goes."""
    Simulator.of(request).plan.clear()
    return Response(status_code=204)


def _shown(simulator: Simulator) -> dict[str, Any]:
    settings = simulator.settings
    names = [name for name in Changes.__struct_fields__ if name != "quota_used"]
    return {name: getattr(settings, name) for name in names} | {"quota_used": simulator.quota.used}


ROUTES = [
    Route("/control/settings", show_settings, methods=["GET"], name="control_settings"),
    Route("/control/settings", change_settings, methods=["PATCH"], name="control_change_settings"),
    Route("/control/subscriptions", switch_subscription, methods=["PATCH"], name="control_switch"),
    Route("/control/webhooks/delays", delay_webhooks, methods=["POST"], name="control_delay"),
    Route("/control/webhooks/holds", hold_webhooks, methods=["POST"], name="control_hold"),
    Route("/control/webhooks/release", release_webhooks, methods=["POST"], name="control_release"),
    Route("/control/webhooks/plan", clear_plan, methods=["DELETE"], name="control_clear_plan"),
]
