"""Salesbots: a bot run by API prints a field of its lead, the common workaround for accounts without the add-on."""

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.faults import DELIVERY_ERROR
from kommo_simulator.model import Chat, Via
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
    await _run(request, [await read_json(request, BotRun)])
    return PlainTextResponse("Accepted", 202)


async def run_bots(request: Request) -> Response:
    """Queue up to a hundred runs."""
    await _run(request, await read_json(request, list[BotRun]))
    return PlainTextResponse("Accepted", 202)


async def run_bots_v2(request: Request) -> Response:
    """Queue up to a hundred runs, by the older path."""
    await _run(request, await read_json(request, list[BotRun]))
    return Json({"success": True}, 202)


async def _run(request: Request, runs: list[BotRun]) -> None:
    simulator = Simulator.of(request)
    if not 1 <= len(runs) <= MAXIMUM_RUNS:
        raise Problem(400, f"From 1 to {MAXIMUM_RUNS} runs a request", "")
    for run in runs:
        if str(run.entity_type) not in _KINDS:
            raise Problem(400, "This value is not valid.", "entity_type")
    for run in runs:
        chat = _chat_of(simulator, _KINDS[str(run.entity_type)], run.entity_id)
        text = _printed(simulator, chat) if chat else None
        if chat and text:
            talk = simulator.stage.talk_in_work(chat)
            fails = DELIVERY_ERROR in request.scope
            message = await simulator.stage.api_sends(talk, text, Via.SALESBOT, fails)
            if simulator.settings.echo_order == "after":
                simulator.stage.echo(chat, message)


def _chat_of(simulator: Simulator, kind: str, entity_id: int) -> Chat | None:
    name = "lead_id" if kind == "leads" else "contact_id"
    chats = [chat for chat in simulator.world.chats.values() if getattr(chat, name) == entity_id]
    return chats[-1] if chats else None


def _printed(simulator: Simulator, chat: Chat) -> str | None:
    lead = simulator.world.leads.get(chat.lead_id or 0)
    fields = (lead.custom_fields_values if lead else None) or []
    values = [value.get("value") for field in fields for value in field.get("values", ())]
    texts = [value for value in values if isinstance(value, str) and value]
    return texts[0] if texts else None


ROUTES = [
    Route("/api/v4/bots/{bot_id:int}/run", run_bot, methods=["POST"], name="run_bot"),
    Route("/api/v4/bots/run", run_bots, methods=["POST"], name="run_bots"),
    Route("/api/v2/salesbot/run", run_bots_v2, methods=["POST"], name="run_bots_v2"),
]
