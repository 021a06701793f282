"""Actions of hand-overs, through the real server: the simulator has each once, wherever an attempt broke off."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.kommo_sends import fault, new_chat, now

from kommo_simulator import RunningSimulator
from kommo_simulator.model import Note, Task
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.parsing import to_seconds

SENT, SKIPPED = pb.SEND_OUTCOME_SENT, pb.SEND_OUTCOME_SKIPPED
LATER, UNCLEAR, TELL = pb.SEND_OUTCOME_RETRY_LATER, pb.SEND_OUTCOME_UNCLEAR, pb.SEND_OUTCOME_TELL_PERSON
NOTE = {"note": pb.HandOffNote(text="Cliente: «hola»\nDetalle: turno 1")}
UPDATE = {"lead_update": pb.HandOffLeadUpdate(responsible_user_id=0, pipeline_id=9, status_id=8, tags=["bot"])}


def task(**fields: Any) -> dict[str, pb.HandOffTask]:
    return {"task": pb.HandOffTask(**{"text": "[alta] Responder", "due_time": now(), **fields})}


def request(chat: dict[str, Any], **changes: Any) -> pb.HandOffRequest:
    fields: dict[str, Any] = {
        "delivery_id": str(uuid4()),
        "account_id": "12345",
        "talk_id": str(chat["talk_id"]),
        "contact_id": str(chat["contact_id"]),
        "lead_id": str(chat["lead_id"] or ""),
    }
    return pb.HandOffRequest(**{**fields, **changes})


def again(first: pb.HandOffRequest, began: Any) -> pb.HandOffRequest:
    repeat = pb.HandOffRequest()
    repeat.CopyFrom(first)
    repeat.unclear_since_time.CopyFrom(began)
    return repeat


def notes(simulator: RunningSimulator) -> list[Note]:
    return list(simulator.simulator.world.notes.values())


def tasks(simulator: RunningSimulator) -> list[Task]:
    return list(simulator.simulator.world.tasks.values())


@pytest.fixture
async def chat(control: httpx.AsyncClient) -> dict[str, Any]:
    return await new_chat(control, lead=True)


@pytest.fixture
async def chat_without_lead(control: httpx.AsyncClient) -> dict[str, Any]:
    return await new_chat(control, lead=False)


async def test_given_a_lead_when_handed_off_then_note_and_task_are_on_it_with_a_marker(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    answer = await stub.HandOff(request(chat, **NOTE))
    assert answer.outcome == SENT
    (note,) = notes(simulator)
    assert (str(note.id), note.entity_type, note.entity_id) == (answer.kommo_id, "leads", chat["lead_id"])
    text, _, marker = note.params["text"].rpartition(" ")
    assert text == NOTE["note"].text
    assert marker.startswith("#m-")
    due = now()
    answer = await stub.HandOff(request(chat, **task(due_time=due)))
    (made,) = tasks(simulator)
    assert (str(made.id), made.entity_type, made.entity_id) == (answer.kommo_id, "leads", chat["lead_id"])
    assert made.complete_till == due.seconds
    assert made.text.split(" #m-")[0] == "[alta] Responder"


async def test_given_a_task_without_a_user_when_made_then_it_is_who_is_responsible_for_the_lead(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    users = simulator.simulator.world.users
    simulator.simulator.world.leads[chat["lead_id"]].responsible_user_id = users[1].id
    await stub.HandOff(request(chat, **task()))
    await stub.HandOff(request(chat, **task(responsible_user_id=users[0].id)))
    assert [one.responsible_user_id for one in tasks(simulator)] == [users[1].id, users[0].id]


async def test_given_no_lead_when_handed_off_then_on_the_contact_and_the_lead_update_is_skipped(
    stub: Any, simulator: RunningSimulator, chat_without_lead: dict[str, Any]
) -> None:
    chat = chat_without_lead
    assert (await stub.HandOff(request(chat, **NOTE))).outcome == SENT
    assert (await stub.HandOff(request(chat, **task()))).outcome == SENT
    skipped = await stub.HandOff(request(chat, **UPDATE))
    assert (skipped.outcome, skipped.reason) == (SKIPPED, "no_lead")
    owners = [(one.entity_type, one.entity_id) for one in (*notes(simulator), *tasks(simulator))]
    assert owners == [("contacts", chat["contact_id"])] * 2


async def test_given_only_a_talk_when_handed_off_then_it_tells_the_lead(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    assert (await stub.HandOff(request(chat, lead_id="", contact_id="", **NOTE))).outcome == SENT
    assert (await stub.HandOff(request(chat, lead_id="", **UPDATE))).outcome == SENT
    assert notes(simulator)[0].entity_id == chat["lead_id"]
    assert simulator.simulator.world.leads[chat["lead_id"]].status_id == 8


@pytest.mark.parametrize("known", [{"talk_id": ""}, {"talk_id": "404404"}])
async def test_given_nothing_that_names_an_entity_when_handed_off_then_a_person_is_told(
    stub: Any, chat: dict[str, Any], known: dict[str, str]
) -> None:
    for action in (NOTE, task()):
        answer = await stub.HandOff(request(chat, **{"lead_id": "", "contact_id": "", **known, **action}))
        assert (answer.outcome, answer.reason) == (TELL, "no_entity")


async def test_given_a_lead_update_when_repeated_then_tags_of_others_stay_and_none_is_doubled(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    lead = simulator.simulator.world.leads[chat["lead_id"]]
    lead.tags.append({"id": 1, "name": "vip", "color": None})
    user = simulator.simulator.world.users[1].id
    update = pb.HandOffLeadUpdate(responsible_user_id=user, pipeline_id=9, status_id=8, tags=["bot", "persona"])
    first = request(chat, lead_update=update)
    assert (await stub.HandOff(first)).kommo_id == str(chat["lead_id"])
    assert (await stub.HandOff(again(first, now()))).outcome == SENT
    assert [tag["name"] for tag in lead.tags] == ["vip", "bot", "persona"]
    assert (lead.responsible_user_id, lead.pipeline_id, lead.status_id) == (user, 9, 8)


@pytest.mark.parametrize("has_lead", [True, False])
@pytest.mark.parametrize("fault_action", ["reset_after", "status_after", "reset_before", "status"])
@pytest.mark.parametrize("operation", ["add_notes", "add_tasks"])
async def test_given_an_unclear_attempt_when_repeated_then_it_is_there_once(
    stub: Any,
    simulator: RunningSimulator,
    control: httpx.AsyncClient,
    operation: str,
    fault_action: str,
    has_lead: bool,
) -> None:
    chat, began = await new_chat(control, lead=has_lead), now()
    first = request(chat, **(NOTE if operation == "add_notes" else task()))
    await fault(control, fault_action, operation)
    unclear = await stub.HandOff(first)
    assert unclear.outcome == UNCLEAR
    assert to_seconds(unclear.retry_after) > 0
    found = await stub.HandOff(again(first, began))
    assert (found.outcome, found.found_by_reading_back) == (SENT, fault_action.endswith("_after"))
    (kept,) = (*notes(simulator), *tasks(simulator))
    assert str(kept.id) == found.kommo_id


async def test_given_a_lead_that_became_known_between_two_attempts_when_repeated_then_the_contacts_note_counts(
    stub: Any, simulator: RunningSimulator, control: httpx.AsyncClient, chat: dict[str, Any]
) -> None:
    began = now()
    first = request(chat, lead_id="", talk_id="", **NOTE)
    await fault(control, "reset_after", "add_notes")
    assert (await stub.HandOff(first)).outcome == UNCLEAR
    repeat = again(first, began)
    repeat.lead_id = str(chat["lead_id"])
    assert (await stub.HandOff(repeat)).found_by_reading_back
    assert len(notes(simulator)) == 1


async def test_given_a_reading_that_fails_when_repeated_then_nothing_is_written(
    stub: Any, simulator: RunningSimulator, control: httpx.AsyncClient, chat: dict[str, Any]
) -> None:
    await fault(control, "status", "list_notes", status=500)
    answer = await stub.HandOff(again(request(chat, **NOTE), now()))
    assert (answer.outcome, answer.reason) == (UNCLEAR, "kommo_unavailable")
    await fault(control, "status", "list_notes", status=403, body="{}", content_type="application/json")
    answer = await stub.HandOff(again(request(chat, **NOTE), now()))
    assert (answer.outcome, answer.reason) == (TELL, "read_back_refused")
    assert notes(simulator) == []


async def test_given_more_notes_than_a_page_when_repeated_then_the_marker_is_found_on_the_last(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    world = simulator.simulator.world
    for _ in range(600):
        number = world.new_number()
        world.notes[number] = Note(number, "leads", chat["lead_id"], "common", {"text": "otra"}, 1, world.seconds())
    first = request(chat, **NOTE)
    assert (await stub.HandOff(first)).outcome == SENT
    found = await stub.HandOff(again(first, now()))
    assert found.found_by_reading_back
    assert len(notes(simulator)) == 601


async def test_given_a_fresh_unclear_attempt_when_nothing_is_there_then_it_waits_for_it_to_settle(
    served: Callable[..., Any], account_of: Callable[..., Any], simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    async with served(account_of(simulator), kommo_settle_seconds=30) as stub:
        answer = await stub.HandOff(again(request(chat, **NOTE), now()))
    assert (answer.outcome, answer.reason) == (UNCLEAR, "not_settled")
    assert notes(simulator) == []


async def test_given_the_same_action_many_times_at_once_when_handed_off_then_it_is_there_once(
    stub: Any, simulator: RunningSimulator, control: httpx.AsyncClient, chat: dict[str, Any]
) -> None:
    await fault(control, "delay", "add_notes", delay_seconds=1.0)
    first = request(chat, **NOTE)
    answers = await asyncio.gather(*(stub.HandOff(first) for _ in range(5)))
    assert sorted(one.outcome for one in answers) == [SENT] + [UNCLEAR] * 4
    assert len(notes(simulator)) == 1


@pytest.mark.parametrize(
    ("order", "outcome", "reason"),
    [
        ({"status": 429}, LATER, "rate_limited"),
        ({"status": 403, "body": "<html>", "content_type": "text/html"}, LATER, "kommo_banned"),
        ({"status": 401}, TELL, "token_refused"),
        ({"status": 403, "body": "{}", "content_type": "application/json"}, TELL, "scope_missing"),
        ({"status": 400, "body": "{}", "content_type": "application/json", "times": -1}, TELL, "invalid_action"),
        ({"status": 404, "body": "{}", "content_type": "application/json", "times": -1}, TELL, "entity_not_found"),
        ({"status": 500}, UNCLEAR, "kommo_unavailable"),
    ],
)
async def test_given_an_answer_of_kommo_when_handed_off_then_its_outcome_says_what_to_do(
    stub: Any,
    simulator: RunningSimulator,
    control: httpx.AsyncClient,
    chat: dict[str, Any],
    order: dict[str, Any],
    outcome: int,
    reason: str,
) -> None:
    await fault(control, "status", "add_notes", **order)
    answer = await stub.HandOff(request(chat, **NOTE))
    assert (answer.outcome, answer.reason) == (outcome, reason)
    assert notes(simulator) == []


async def test_given_a_lead_that_is_gone_when_handed_off_then_the_contact_has_it(
    served: Callable[..., Any], account_of: Callable[..., Any], simulated: Callable[..., Any]
) -> None:
    async with simulated(adopt_unknown_chats=False) as strict, served(account_of(strict)) as stub:
        async with httpx.AsyncClient(base_url=strict.url, timeout=60, trust_env=False) as control:
            chat = await new_chat(control, lead=False)
        gone = {**chat, "lead_id": 987654}
        assert (await stub.HandOff(request(gone, **NOTE))).outcome == SENT
        assert (await stub.HandOff(request(gone, **task()))).outcome == SENT
        update = await stub.HandOff(request(gone, **UPDATE))
        assert (update.outcome, update.reason) == (TELL, "entity_not_found")
        owners = [one.entity_type for one in (*notes(strict), *tasks(strict))]
        assert owners == ["contacts", "contacts"]


async def test_given_no_time_left_when_handed_off_then_nothing_is_started(
    stub: Any, simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    for action in (NOTE, task(), UPDATE):
        answer = await stub.HandOff(request(chat, start_before_time=now(), **action))
        assert (answer.outcome, answer.reason) == (LATER, "lease_ended")
    assert (notes(simulator), tasks(simulator)) == ([], [])


async def test_given_two_accounts_when_handed_off_then_each_has_its_own(
    served: Callable[..., Any], account_of: Callable[..., Any], simulated: Callable[..., Any]
) -> None:
    async with (
        simulated() as one,
        simulated(account_id=777, subdomain="other") as other,
        served(account_of(one), account_of(other, "777")) as stub,
    ):
        chat = {"talk_id": "", "contact_id": "5", "lead_id": "6"}
        same = str(uuid4())
        for account in ("12345", "777"):
            assert (await stub.HandOff(request(chat, account_id=account, delivery_id=same, **NOTE))).outcome == SENT
        texts = {notes(simulator)[0].params["text"] for simulator in (one, other)}
        assert len(texts) == 2
        assert [len(notes(simulator)) for simulator in (one, other)] == [1, 1]


async def test_given_no_token_when_handed_off_then_a_person_is_told(
    served: Callable[..., Any], account_of: Callable[..., Any], simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    async with served(account_of(simulator, secrets={})) as stub:
        answer = await stub.HandOff(request(chat, **NOTE))
    assert (answer.outcome, answer.reason) == (TELL, "token_missing")


async def test_given_no_request_left_when_handed_off_then_refused_with_a_time(
    served: Callable[..., Any], account_of: Callable[..., Any], simulator: RunningSimulator, chat: dict[str, Any]
) -> None:
    async with served(account_of(simulator, requests_per_second=1)) as stub:
        await stub.HandOff(request(chat, **NOTE))
        with pytest.raises(RemoteError) as caught:
            await stub.HandOff(request(chat, **NOTE))
    assert (caught.value.code, caught.value.reason) == ("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED")
    assert caught.value.retry_after


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"note": pb.HandOffNote()},
        {"task": pb.HandOffTask(text="x")},
        task(responsible_user_id=-1),
        {"lead_update": pb.HandOffLeadUpdate()},
        {"lead_update": pb.HandOffLeadUpdate(status_id=3)},
        {"lead_update": pb.HandOffLeadUpdate(tags=[""])},
        {**NOTE, "delivery_id": ""},
    ],
)
async def test_given_a_request_that_says_nothing_to_do_when_sent_then_refused(
    stub: Any, chat: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises(RemoteError) as caught:
        await stub.HandOff(request(chat, **wrong))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
