"""Faults of replies into the talk: the transport `talk_message`."""

from support.faults.case import ALWAYS, DELIVERED, LONG_REPLY, REPLY, TOLD, Case, client_writes, fault, quiet, refused
from support.faults.mesh import Kommo, Order

BANNED = "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"


async def _in_a_closed_talk(kommo: Kommo, chat_id: str, *, is_reopened: bool) -> None:
    """Let the message's talk be closed before the message is told of."""
    line = {"text": "¿Hay stock?", "chat_id": chat_id, "id": f"message-of-{chat_id}"}
    played = await kommo.post("/control/client-messages", {**line, "deliver": False})
    await kommo.post(f"/control/talks/{played['talk_id']}/close", {})
    if is_reopened:
        await kommo.post(f"/control/chats/{chat_id}/reopen", {})
    await kommo.post("/control/client-messages", line)


async def _talk_closed_and_reopened(kommo: Kommo, chat_id: str) -> None:
    await _in_a_closed_talk(kommo, chat_id, is_reopened=True)


async def _talk_closed(kommo: Kommo, chat_id: str) -> None:
    await _in_a_closed_talk(kommo, chat_id, is_reopened=False)


async def _without_lead(kommo: Kommo, chat_id: str) -> None:
    await client_writes(kommo, chat_id, lead=False)


REFUSED = (
    Case("no fault", "takes it", DELIVERED, "delivered", 1),
    Case(
        "quota",
        "402 Over chat API limit",
        TOLD,
        "quota_used_up",
        0,
        alerted="quota",
        faults=[refused(402, "Over chat API limit")],
    ),
    Case(
        "quota near",
        "takes it; 95 % of the month are reached",
        DELIVERED,
        "delivered",
        1,
        alerted="quota",
        order=Order(account={"monthly_message_quota": 1}),
    ),
    Case("plan", "402 for the tariff", TOLD, "plan_lacks_addon", 0, order=Order(kommo={"plan_has_addon": False})),
    Case("scope", "403 Invalid scope", TOLD, "scope_missing", 0, order=Order(kommo={"token_scopes": ("crm",)})),
    Case("token", "401 to sends", TOLD, "token_refused", 0, faults=[refused(401, "Unauthorized")]),
    Case(
        "token withdrawn",
        "401 to everything",
        TOLD,
        "token_refused",
        0,
        alerted="package_waiting",
        order=Order(secrets={"access_token": ["withdrawn"]}),
    ),
    Case(
        "token rotated",
        "401 to the newest token",
        DELIVERED,
        "delivered",
        1,
        order=Order(secrets={"access_token": ["not-yet-valid", "token-of-account-{id}"]}),
    ),
    Case("talk unknown", "404 talk", TOLD, "talk_not_found", 0, faults=[refused(404, "Talk not found")]),
    Case("talk reopened", "422, the chat has a newer talk", DELIVERED, "delivered", 1, play=_talk_closed_and_reopened),
    Case("talk closed", "422, no open talk", TOLD, "talk_closed", 0, play=_talk_closed),
    Case(
        "no lead",
        "402, and the chat has no lead",
        TOLD,
        "quota_used_up",
        0,
        play=_without_lead,
        faults=[refused(402, "Over chat API limit")],
    ),
    Case("rate", "429 three times", DELIVERED, "delivered", 1, faults=[fault("status", status=429, times=3)]),
    Case(
        "ban",
        "403 in HTML twice",
        DELIVERED,
        "delivered",
        1,
        faults=[fault("status", status=403, body=BANNED, times=2)],
    ),
    Case(
        "redirect",
        "302 to another host",
        TOLD,
        "account_moved",
        0,
        faults=[fault("status", status=302, times=ALWAYS, headers={"Location": "http://127.0.0.1:9/"})],
    ),
)

UNCLEAR = (
    Case(
        "timeout before", "no answer, not taken", DELIVERED, "talk", 1, faults=[fault("timeout_before")], order=quiet()
    ),
    Case("timeout after", "no answer, but taken", DELIVERED, "talk", 1, faults=[fault("timeout_after")], order=quiet()),
    Case(
        "timeout, echoed", "no answer, taken, reported back", DELIVERED, "delivered", 1, faults=[fault("timeout_after")]
    ),
    Case("reset before", "breaks off, not taken", DELIVERED, "talk", 1, faults=[fault("reset_before")], order=quiet()),
    Case("reset after", "breaks off, but taken", DELIVERED, "talk", 1, faults=[fault("reset_after")], order=quiet()),
    Case(
        "lost, unreadable",
        "breaks off, taken; the talk may not be read",
        TOLD,
        "read_back_refused",
        1,
        faults=[fault("reset_after")],
        order=quiet(token_scopes=("crm", "send_external_messages")),
    ),
    Case("error once", "500, then takes it", DELIVERED, "talk", 1, faults=[fault("status")], order=quiet()),
    Case(
        "error after", "504, but taken", DELIVERED, "talk", 1, faults=[fault("status_after", status=504)], order=quiet()
    ),
    Case("error for ever", "500 to every send", TOLD, "kommo_unavailable", 0, faults=[fault("status", times=ALWAYS)]),
    Case(
        "all down",
        "503 to everything, for ever",
        TOLD,
        "kommo_unavailable",
        0,
        alerted="package_waiting",
        faults=[fault("status", path="^/api/", status=503, times=ALWAYS)],
    ),
    Case(
        "too old",
        "503 to everything for a while",
        TOLD,
        "delivery_too_old",
        0,
        order=Order(account={"delivery_max_age_seconds": 20}),
        faults=[
            fault("status", status=503, times=ALWAYS),
            fault("status", "add_tasks", status=503, times=3),
            fault("status", "add_notes", status=503, times=3),
        ],
    ),
    Case(
        "empty answer",
        "202 without a body",
        DELIVERED,
        "talk",
        1,
        faults=[fault("status_after", status=202)],
        order=quiet(),
    ),
    Case(
        "broken answer",
        "202 with half a JSON",
        DELIVERED,
        "delivered",
        1,
        faults=[fault("status_after", status=202, body='{"id": "0', content_type="application/json")],
    ),
    Case(
        "between pieces",
        "takes one piece, no answer to the next",
        DELIVERED,
        "talk",
        2,
        parts=(LONG_REPLY,),
        faults=[fault("timeout_before", skip=1)],
        order=quiet(),
    ),
    Case(
        "lost between pieces",
        "takes both pieces, breaks off the second",
        DELIVERED,
        "talk",
        2,
        parts=(LONG_REPLY,),
        faults=[fault("reset_after", skip=1)],
        order=quiet(),
    ),
    Case(
        "second bubble",
        "takes one bubble, then 402",
        TOLD,
        "quota_used_up",
        1,
        parts=(REPLY, "¿Te lo reservo?"),
        faults=[refused(402, "Over chat API limit", skip=1)],
    ),
)

UNPROVED = (
    Case("accepted, failed", "202, then delivery_status error", TOLD, "error", 1, faults=[fault("delivery_error")]),
    Case("accepted, swallowed", "202, then nothing for 60 s", TOLD, "no_proof", 0, faults=[fault("swallow")]),
    Case(
        "proof late",
        "202, then 503 to the first two looks",
        DELIVERED,
        "delivered",
        1,
        faults=[fault("status", "list_messages", status=503, times=2)],
    ),
    Case(
        "proof by report alone",
        "202, reports it back; the talk may not be read",
        DELIVERED,
        "webhook",
        1,
        order=Order(kommo={"token_scopes": ("crm", "send_external_messages")}),
    ),
)

TALK_CASES = (*REFUSED, *UNCLEAR, *UNPROVED)
