"""Salesbot dialogues: widget requests to an integration, signed with its secret, and their continuation."""

import base64
import hashlib
import hmac
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.bots import say, wait_for_answer
from kommo_simulator.bots_at_work import Wait
from kommo_simulator.faults import DELIVERY_ERROR
from kommo_simulator.model import Chat
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.simulator import Simulator
from kommo_simulator.webhooks_out import post

ANSWER_SECONDS = 2.0
TOKEN_SECONDS = 300
MAXIMUM_HANDLERS = 10
MAXIMUM_SHOWN = 80
MAXIMUM_BUTTONS = 25
_ENTITY_TYPES: dict[str, tuple[str, int]] = {"lead": ("lead", 2), "contact": ("contact", 1)}


class WidgetOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A widget request to play; `prints` names the key of the answer's data that the bot shows afterwards.

    The documentation names the kind of its entity by a word, the vendor's library by a number.
    """

    chat_id: str
    url: str
    data: dict[str, Any] = {}
    bot_id: int = 48_211
    prints: str | None = None
    as_form: bool = False
    lifetime_seconds: float | None = None
    entity_type: Literal["word", "number"] = "word"


class Handler(msgspec.Struct, frozen=True):
    """One thing for the bot to do."""

    handler: Literal["show", "goto"]
    params: dict[str, Any] = {}


class Continuation(msgspec.Struct, frozen=True):
    """The body of continue."""

    data: dict[str, Any] = {}
    execute_handlers: list[Handler] = []


def widget_token(settings: SimulatorSettings, url: str, chat: Chat, now: int, *, numbered: bool = False) -> str:
    """Return the JWT of a widget request.

    Args:
        url: where the request goes; its scheme and host become the audience.
        now: unix seconds.
        numbered: whether `entity_type` is a number.

    Source: Kommo Salesbot, widget_request; HS512 with the integration's client secret.
    """
    parts = urlsplit(url)
    claims = {
        "iss": f"https://{settings.subdomain}.kommo.com",
        "aud": f"{parts.scheme}://{parts.netloc}",
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "account_id": settings.account_id,
        "subdomain": settings.subdomain,
        "client_uuid": settings.client_uuid,
        "bot_type": "salesbot",
        "entity_type": _ENTITY_TYPES["lead" if chat.lead_id else "contact"][numbered],
        "entity_id": chat.lead_id or chat.contact_id,
    }
    signed = b".".join(_base64(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "HS512"}, claims))
    secret = settings.client_secret.get_secret_value().encode()
    return b".".join((signed, _base64(hmac.new(secret, signed, hashlib.sha512).digest()))).decode()


async def play_widget_request(request: Request) -> Response:
    """Send a widget request to an integration and report its answer; the bot then waits to be continued."""
    simulator, order = Simulator.of(request), await read_json(request, WidgetOrder)
    chat = simulator.world.chats.get(order.chat_id)
    if chat is None:
        raise Problem(404, "Chat not found")
    continue_id = simulator.world.new_number()
    return_url = f"{request.base_url}api/v4/salesbot/{order.bot_id}/continue/{continue_id}"
    ends_at = None if order.lifetime_seconds is None else simulator.world.now() + order.lifetime_seconds
    wait_for_answer(simulator, continue_id, Wait(order.bot_id, chat.id, order.prints, ends_at))
    numbered = order.entity_type == "number"
    token = widget_token(simulator.settings, order.url, chat, simulator.world.seconds(), numbered=numbered)
    body = {"token": token, "data": order.data, "return_url": return_url}
    content_type = "application/x-www-form-urlencoded" if order.as_form else "application/json"
    encoded = urlencode(_flat(body)).encode() if order.as_form else msgspec.json.encode(body)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    session = simulator.stage.webhooks.session()
    status = await post(session, order.url, encoded, {"Content-Type": content_type}, timeout)
    return Json({"continue_id": continue_id, "return_url": return_url, "status": status}, 201)


async def continue_bot(request: Request) -> Response:
    """Continue a waiting bot, once."""
    simulator, body = Simulator.of(request), await read_json(request, Continuation)
    waits = simulator.world.bots.waits
    wait = waits.get(request.path_params["continue_id"])
    is_over = wait is not None and wait.ends_at is not None and wait.ends_at <= simulator.world.now()
    if wait is None or is_over or wait.bot_id != request.path_params["bot_id"]:
        raise Problem(404, "Continuation not found")
    shown = _shown_texts(body)
    del waits[request.path_params["continue_id"]]
    printed = body.data.get(wait.prints) if wait.prints else None
    texts = [*shown, *([str(printed)] if printed else [])]
    chat = simulator.world.chats[wait.chat_id]
    await say(simulator, chat, lambda: texts, fails=DELIVERY_ERROR in request.scope)
    return Response(status_code=202)


def _shown_texts(body: Continuation) -> list[str]:
    if len(body.execute_handlers) > MAXIMUM_HANDLERS:
        raise Problem(400, f"At most {MAXIMUM_HANDLERS} handlers", "execute_handlers")
    shows = [handler.params for handler in body.execute_handlers if handler.handler == "show"]
    for params in shows:
        value = params.get("value")
        if not isinstance(value, str) or not 0 < len(value) <= MAXIMUM_SHOWN:
            raise Problem(400, f"value has from 1 to {MAXIMUM_SHOWN} characters", "execute_handlers.params.value")
        if len(params.get("buttons") or ()) > MAXIMUM_BUTTONS:
            raise Problem(400, f"At most {MAXIMUM_BUTTONS} buttons", "execute_handlers.params.buttons")
    return [params["value"] for params in shows]


def _flat(body: dict[str, Any]) -> list[tuple[str, str]]:
    data = [(f"data[{name}]", str(value)) for name, value in body["data"].items()]
    return [("token", body["token"]), *data, ("return_url", body["return_url"])]


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_CONTINUE = "/api/v4/salesbot/{bot_id:int}/continue/{continue_id:int}"

ROUTES = [
    Route("/control/widget-requests", play_widget_request, methods=["POST"], name="control_widget"),
    Route(_CONTINUE, continue_bot, methods=["POST"], name="continue_bot"),
]
