"""Salesbots: a bot run by API prints a field of its lead, the common workaround for accounts without the add-on."""

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kommo_simulator.answers import Hal, Json, Problem, read_json
from kommo_simulator.bots import chat_of_lead, end_waits, say, stop
from kommo_simulator.faults import DELIVERY_ERROR
from kommo_simulator.model import Chat
from kommo_simulator.simulator import Simulator

MAXIMUM_RUNS = 100
_KINDS = {"1": "contacts", "2": "leads", "contacts": "contacts", "leads": "leads"}


class BotRun(msgspec.Struct, frozen=True):
    """One run of a bot."""

    entity_id: int
    entity_type: str | int
    bot_id: int = 0


async def run_bot(request: Request) -> Response:
    """Queue one run of a bot."""
    run = await read_json(request, BotRun)
    await _run(request, [msgspec.structs.replace(run, bot_id=request.path_params["bot_id"])])
    return PlainTextResponse("Accepted", 202)


async def run_bots(request: Request) -> Response:
    """Queue up to a hundred runs."""
    await _run(request, await read_json(request, list[BotRun]))
    return PlainTextResponse("Accepted", 202)


async def run_bots_v2(request: Request) -> Response:
    """Queue up to a hundred runs, by the older path."""
    await _run(request, await read_json(request, list[BotRun]))
    return Json({"success": True}, 202)


async def stop_bot(request: Request) -> Response:
    """Stop what runs for a lead."""
    simulator, order = Simulator.of(request), await read_json(request, BotRun)
    _check(simulator, msgspec.structs.replace(order, bot_id=request.path_params["bot_id"]))
    if _KINDS[str(order.entity_type)] != "leads":
        raise Problem(400, "This value is not valid.", "entity_type")
    chat = chat_of_lead(simulator, order.entity_id)
    if chat is not None:
        stop(simulator, chat)
    return PlainTextResponse("Accepted", 202)


async def _run(request: Request, runs: list[BotRun]) -> None:
    simulator = Simulator.of(request)
    if not 1 <= len(runs) <= MAXIMUM_RUNS:
        raise Problem(400, f"From 1 to {MAXIMUM_RUNS} runs a request", "")
    for run in runs:
        _check(simulator, run)
    for run in runs:
        chat = _chat_of(simulator, run)
        if chat is not None:
            end_waits(simulator, chat)
            texts = partial(_printed, simulator, chat)
            await say(simulator, chat, texts, fails=DELIVERY_ERROR in request.scope)


def _check(simulator: Simulator, run: BotRun) -> None:
    if str(run.entity_type) not in _KINDS:
        raise Problem(400, "This value is not valid.", "entity_type")
    if simulator.settings.salesbot_id not in (0, run.bot_id):
        raise Problem(404, "Bot not found")


def _chat_of(simulator: Simulator, run: BotRun) -> Chat | None:
    if _KINDS[str(run.entity_type)] == "leads":
        return chat_of_lead(simulator, run.entity_id)
    chats = [chat for chat in simulator.world.chats.values() if chat.contact_id == run.entity_id]
    return chats[-1] if chats else None


def _printed(simulator: Simulator, chat: Chat) -> list[str]:
    """Return what the field holds at this moment, which may be something else than when the bot was launched."""
    lead, wanted = simulator.world.leads.get(chat.lead_id or 0), simulator.settings.salesbot_field_id
    fields = (lead.custom_fields_values if lead else None) or []
    chosen = [field for field in fields if wanted in (0, field.get("field_id"))]
    values = [value.get("value") for field in chosen for value in field.get("values") or ()]
    return [value for value in values if isinstance(value, str) and value][:1]


async def get_field(request: Request) -> Response:
    """Return the custom field of leads that bots print; no other one exists, once it is named."""
    settings, field_id = Simulator.of(request).settings, request.path_params["field_id"]
    if settings.salesbot_field_id not in (0, field_id):
        raise Problem(404, "Entity not found")
    kind = "text" if settings.lead_field_limit else "textarea"
    return Hal({"id": field_id, "name": "Respuesta del bot", "type": kind, "entity_type": "leads"})


ROUTES = [
    Route("/api/v4/leads/custom_fields/{field_id:int}", get_field, methods=["GET"], name="get_field"),
    Route("/api/v4/bots/{bot_id:int}/run", run_bot, methods=["POST"], name="run_bot"),
    Route("/api/v4/bots/{bot_id:int}/stop", stop_bot, methods=["POST"], name="stop_bot"),
    Route("/api/v4/bots/run", run_bots, methods=["POST"], name="run_bots"),
    Route("/api/v2/salesbot/run", run_bots_v2, methods=["POST"], name="run_bots_v2"),
]
