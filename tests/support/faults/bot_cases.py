"""Faults of replies that a Salesbot prints: the transports `salesbot_field` and `salesbot_return`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from support.faults.case import ALWAYS, DELIVERED, TOLD, Case, client_writes, fault, refused
from support.faults.mesh import Kommo, Order

from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.parsing import from_time

FIELD_ID, BOT_ID = 77, 48_211
# The key of the continuation's data that a bot is built to print.
DATA_KEY = "reply"


def _bots(**kommo: Any) -> Order:
    """Return an account with a bot that prints a field of the lead."""
    table = {"field_id": FIELD_ID, "bot_id": BOT_ID, "wait_seconds": 1.0}
    return Order(account={"salesbot": table}, kommo={"salesbot_field_id": FIELD_ID, **kommo})


async def _without_lead(kommo: Kommo, chat_id: str) -> None:
    await client_writes(kommo, chat_id, lead=False)


async def _bot_asks_first(kommo: Kommo, chat_id: str) -> None:
    """Let the client's dialogue be with a bot that asks the mesh and waits for its answer."""
    await kommo.post("/control/chats", {"chat_id": chat_id})
    url = f"{kommo.web_url}/api/kommo/salesbot/{kommo.account_id}"
    order = {"chat_id": chat_id, "url": url, "prints": DATA_KEY, "bot_id": BOT_ID}
    # A bot has two seconds for its answer, which a busy machine may not manage at the first attempt.
    while (await kommo.post("/control/widget-requests", order))["status"] != 200:
        pass
    await client_writes(kommo, chat_id)


async def _bot_waits(kommo: Kommo, chat_id: str, **request: Any) -> None:
    chat = await kommo.post("/control/chats", {"chat_id": chat_id})
    item = service_pb.IngestItem(
        account_id=kommo.account_id,
        lead_id=str(chat["lead_id"]),
        salesbot_request=service_pb.SalesbotRequest(**request),
    )
    await kommo.conversations.IngestMessages(service_pb.IngestMessagesRequest(items=[item]))
    await client_writes(kommo, chat_id)


async def _bot_of_another_host_waits(kommo: Kommo, chat_id: str) -> None:
    later = from_time(datetime.now(UTC) + timedelta(hours=8))
    await _bot_waits(kommo, chat_id, return_url="https://evil.example/api/v4/salesbot/1/continue/2", expire_time=later)


async def _bot_no_longer_waits(kommo: Kommo, chat_id: str) -> None:
    earlier = from_time(datetime.now(UTC) - timedelta(minutes=1))
    await _bot_waits(kommo, chat_id, return_url=f"{kommo.url}/api/v4/salesbot/{BOT_ID}/continue/3", expire_time=earlier)


FIELD: Mapping[str, Any] = {"transports": ("salesbot_field",), "order": _bots()}
RETURN: Mapping[str, Any] = {"transports": ("salesbot_return", "talk_message"), "order": _bots()}
RETURN_ALONE: Mapping[str, Any] = {"transports": ("salesbot_return",), "order": _bots()}

FIELD_CASES = (
    Case("bot prints", "prints the field", DELIVERED, "", 1, **FIELD),
    Case(
        "quota, next way",
        "402, then prints the field",
        DELIVERED,
        "",
        1,
        alerted="quota",
        transports=("talk_message", "salesbot_field"),
        order=_bots(),
        faults=[refused(402, "Over chat API limit")],
    ),
    Case("bot without lead", "the chat has no lead", TOLD, "no_lead", 0, play=_without_lead, **FIELD),
    Case(
        "field overwritten",
        "another text stands in the field, once",
        DELIVERED,
        "",
        1,
        faults=[fault("overwrite_field", "patch_lead", body="de otra persona")],
        **FIELD,
    ),
    Case(
        "field always overwritten",
        "another text stands in the field, always",
        TOLD,
        "field",
        0,
        faults=[fault("overwrite_field", "patch_lead", body="de otra persona", times=ALWAYS)],
        **FIELD,
    ),
    Case(
        "bot refused", "404 to the launch", TOLD, "bot_", 0, faults=[refused(404, "Bot not found", "run_bot")], **FIELD
    ),
    Case(
        "bot silent",
        "202 to the launch, prints nothing",
        TOLD,
        "bot_silent",
        0,
        faults=[fault("swallow", "run_bot")],
        **FIELD,
    ),
    Case(
        "bot lost",
        "breaks off the launch, prints the field",
        DELIVERED,
        "",
        1,
        faults=[fault("reset_after", "run_bot")],
        **FIELD,
    ),
)

RETURN_CASES = (
    Case("bot continued", "prints what it is told", DELIVERED, "", 1, play=_bot_asks_first, **RETURN_ALONE),
    Case("no bot waits", "no bot has asked", TOLD, "no_continuation", 0, **RETURN_ALONE),
    Case(
        "continuation expired",
        "its bot waits no more; takes it by its talk",
        DELIVERED,
        "",
        1,
        play=_bot_no_longer_waits,
        **RETURN,
    ),
    Case(
        "continuation used",
        "404 to the continuation; takes it by its talk",
        DELIVERED,
        "",
        1,
        play=_bot_asks_first,
        faults=[refused(404, "Continuation not found", "continue_bot")],
        **RETURN,
    ),
    Case(
        "hostile return_url",
        "a return_url of another host; takes it by its talk",
        DELIVERED,
        "",
        1,
        play=_bot_of_another_host_waits,
        **RETURN,
    ),
    Case(
        "continuation lost",
        "breaks off the continuation, prints",
        DELIVERED,
        "",
        1,
        play=_bot_asks_first,
        faults=[fault("reset_after", "continue_bot")],
        **RETURN_ALONE,
    ),
    Case(
        "continued, silent",
        "202 to the continuation, prints nothing",
        TOLD,
        "no_proof",
        0,
        play=_bot_asks_first,
        faults=[fault("swallow", "continue_bot")],
        **RETURN_ALONE,
    ),
)

BOT_CASES = (*FIELD_CASES, *RETURN_CASES)
