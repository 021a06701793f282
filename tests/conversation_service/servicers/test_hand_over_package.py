"""What a hand-over leaves to be done in Kommo, over the wire and on both databases."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from support.conversation_mesh import ACCOUNT_ID, Mesh, refused, sent

from conversation_service.adapters.tables import DELIVERIES, DELIVERY_WORK
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

NOTE, TASK, UPDATE = pb.DELIVERY_KIND_NOTE, pb.DELIVERY_KIND_TASK, pb.DELIVERY_KIND_LEAD_UPDATE
PENDING, SENT = pb.DELIVERY_STATE_PENDING, pb.DELIVERY_STATE_SENT
DROPPED, DEAD = pb.DELIVERY_STATE_DROPPED, pb.DELIVERY_STATE_DEAD


@pytest.fixture
def accounts() -> Accounts:
    # What follows where nobody comes has tests of its own.
    package = HandoffSettings(person_reminder_after_seconds=0)
    changes = {"responsible_user_id": 7, "pipeline_id": 3, "status_id": 4, "tags": ("bot", "persona")}
    full = package.model_copy(update=changes)
    return Accounts.of(
        Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1000, handoff=package),
        Account(id="777", subdomain="other", requests_per_second=1000, locale="pt-BR", handoff=full),
    )


def person(**changes) -> turn_pb.EscalateDecision:
    fields = {"reason_code": "human_request", "reason": "Pide una persona.", "priority": common.PRIORITY_HIGH}
    return turn_pb.EscalateDecision(**{**fields, **changes})


async def escalated(mesh: Mesh, *, account: str = ACCOUNT_ID, text: str = "quiero una persona", **changes):
    await mesh.client_writes(text, account=account)
    turn = await mesh.lease_turn()
    await mesh.complete(turn, escalate=person(**changes))
    return turn


async def escalate_by_request(mesh: Mesh, conversation_id: str, request_id: str = "") -> None:
    request = service_pb.EscalateConversationRequest(
        conversation_id=conversation_id, request_id=request_id or str(uuid4()), reason="Lo pidió la vendedora."
    )
    await mesh.conversations.EscalateConversation(request)


async def by_kind(mesh: Mesh) -> dict[int, outbox_pb.LeasedDelivery]:
    leased = await mesh.lease_deliveries()
    found = {one.delivery.kind: one for one in leased}
    assert len(found) == len(leased)
    return found


async def all_actions(mesh: Mesh) -> list[tuple[str, str, int]]:
    query = (
        select(DELIVERIES.c.kind, DELIVERIES.c.state, DELIVERIES.c.floor_number)
        .where(DELIVERIES.c.lane != "message")
        .order_by(DELIVERIES.c.floor_number, DELIVERIES.c.kind)
    )
    return await mesh.store.read(lambda connection, _now: [tuple(row) for row in connection.execute(query)])


async def work_left(mesh: Mesh) -> int:
    query = select(func.count()).select_from(DELIVERY_WORK)
    return await mesh.store.read(lambda connection, _now: connection.scalar(query))


async def test_given_an_escalation_when_leased_then_note_and_task_leave_at_once_beside_the_notice(mesh: Mesh):
    turn = await escalated(mesh, notice_parts=["ya te atiende una persona"])
    found = await by_kind(mesh)
    assert set(found) == {NOTE, TASK, pb.DELIVERY_KIND_NOTICE}
    note, task = found[NOTE].delivery, found[TASK].delivery
    assert note.text.splitlines() == [
        "Cliente: «quiero una persona»",
        "Asistente: todavía no respondió",
        "Pendiente: Pide una persona.",
        "Prioridad alta: responder antes de 15 min",
        f"Detalle: conversación {turn.conversation.id}, turno {turn.turn_id}",
    ]
    assert task.text == "[alta] Responder al cliente: «quiero una persona». Pide una persona."
    assert task.task.due_time.seconds - task.create_time.seconds == 15 * 60
    assert (task.task.responsible_user_id, task.task.priority) == (0, common.PRIORITY_HIGH)
    assert (found[NOTE].talk_id, found[NOTE].chat_id) == ("71", "chat-1")


async def test_given_an_account_with_settings_when_escalated_then_the_lead_changes_too_in_its_language(mesh: Mesh):
    await escalated(mesh, account="777")
    found = await by_kind(mesh)
    assert set(found) == {NOTE, TASK, UPDATE}
    changes = found[UPDATE].delivery.lead_changes
    assert (changes.responsible_user_id, changes.pipeline_id, changes.status_id) == (7, 3, 4)
    assert list(changes.tags) == ["bot", "persona"]
    assert found[TASK].delivery.task.responsible_user_id == 7
    assert found[NOTE].delivery.text.startswith("Cliente: «quiero una persona»\nAssistente: ainda não respondeu\n")


async def test_given_a_turn_completed_twice_when_looked_at_then_there_is_one_package(mesh: Mesh):
    await mesh.client_writes("quiero una persona")
    turn = await mesh.lease_turn()
    await asyncio.gather(*(mesh.complete(turn, escalate=person()) for _ in range(4)))
    assert await all_actions(mesh) == [("note", "pending", 2), ("task", "pending", 2)]


async def test_given_one_request_many_times_when_a_person_is_called_then_there_is_one_package(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    request_id = str(uuid4())
    await asyncio.gather(*(escalate_by_request(mesh, conversation_id, request_id) for _ in range(6)))
    assert await all_actions(mesh) == [("note", "pending", 2), ("task", "pending", 2)]
    assert "Lo pidió la vendedora." in (await by_kind(mesh))[NOTE].delivery.text


async def test_given_a_person_who_has_the_floor_when_taken_over_then_nothing_is_written(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    await mesh.take_over(conversation_id)
    assert await all_actions(mesh) == []
    assert await refused(escalate_by_request(mesh, conversation_id)) == (
        "FAILED_PRECONDITION",
        "CONVERSATION_ESCALATED",
    )
    assert await all_actions(mesh) == []


async def test_given_a_reply_that_cannot_be_sent_when_given_up_then_a_person_reads_what_it_was(mesh: Mesh):
    turn = await mesh.answered("abrimos a las 9", text="¿a qué hora abren?")
    await mesh.fail(await mesh.lease_delivery())
    note = (await by_kind(mesh))[NOTE].delivery
    assert note.turn_id == turn.turn_id
    assert note.text.splitlines()[:3] == [
        "Cliente: «¿a qué hora abren?»",
        "Asistente: «abrimos a las 9» (no se pudo entregar)",
        "Pendiente: La respuesta del asistente no llegó al cliente (talk_closed).",
    ]


async def test_given_a_reply_that_is_too_old_when_leased_then_a_person_is_called_with_a_package(mesh: Mesh):
    await mesh.answered("buenas")
    mesh.clock.advance(3600)
    assert await mesh.lease_deliveries() == []
    assert set(await by_kind(mesh)) == {NOTE, TASK}


async def test_given_a_message_in_backoff_when_escalated_then_it_holds_up_no_action(mesh: Mesh):
    await escalated(mesh, notice_parts=["ya va"])
    found = await by_kind(mesh)
    await mesh.retry(found[pb.DELIVERY_KIND_NOTICE], after=60)
    await mesh.retry(found[NOTE], after=60)
    report = await mesh.report(found[TASK], worker="worker-1", sent=sent("t-1"))
    assert report.delivery.state == SENT
    assert not report.HasField("next")
    mesh.clock.advance(61)
    assert set(await by_kind(mesh)) == {pb.DELIVERY_KIND_NOTICE, NOTE}


async def test_given_an_action_that_is_done_when_reported_then_it_is_no_message_and_leaves_no_work(mesh: Mesh):
    turn = await escalated(mesh)
    for leased in await mesh.lease_deliveries():
        for _ in range(2):
            await mesh.report(leased, sent=sent(f"id-{leased.delivery.kind}"))
    conversation = await mesh.conversation(turn.conversation.id)
    assert (conversation.message_count, conversation.bot_message_count) == (1, 0)
    assert await mesh.bot_said(turn.conversation.id) == []
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    assert await work_left(mesh) == 0
    shown = {one.kind: one.state for one in (await mesh.trace(turn_id=turn.turn_id)).deliveries}
    assert shown == {NOTE: SENT, TASK: SENT}


@pytest.mark.parametrize("ends", ["expires", "unclear", "clear"])
async def test_given_workers_that_end_at_any_step_when_leased_again_then_each_action_is_the_same_one(mesh: Mesh, ends):
    await escalated(mesh, account="777")
    first = await by_kind(mesh)
    for leased in first.values():
        if ends != "expires":
            await mesh.retry(leased, unclear=ends == "unclear")
    mesh.clock.advance(31)
    again = await by_kind(mesh)
    assert {one.delivery.id for one in again.values()} == {one.delivery.id for one in first.values()}
    assert {one.HasField("unclear_since_time") for one in again.values()} == {ends != "clear"}
    for leased in again.values():
        await mesh.report(leased, sent=sent())
    assert await mesh.lease_deliveries() == []
    assert await all_actions(mesh) == [("lead_update", "sent", 2), ("note", "sent", 2), ("task", "sent", 2)]


async def test_given_a_person_who_writes_first_when_leased_then_the_package_still_leaves(mesh: Mesh):
    await escalated(mesh)
    await mesh.company_writes("Hola, soy Eva", is_person=True)
    assert set(await by_kind(mesh)) == {NOTE, TASK}


async def test_given_a_conversation_given_back_when_leased_then_the_package_is_dropped(mesh: Mesh):
    turn = await escalated(mesh)
    await mesh.release(turn.conversation.id)
    assert await mesh.lease_deliveries() == []
    assert await all_actions(mesh) == [("note", "dropped", 2), ("task", "dropped", 2)]
    assert await work_left(mesh) == 0


@pytest.mark.parametrize("is_held", [False, True])
async def test_given_a_second_escalation_when_the_first_still_waits_then_only_the_second_leaves(mesh: Mesh, is_held):
    turn = await escalated(mesh)
    held = await mesh.lease_deliveries() if is_held else []
    await mesh.release(turn.conversation.id)
    await escalated(mesh, text="otra vez")
    for leased in held:
        assert (await mesh.retry(leased)).state == DROPPED
    found = await by_kind(mesh)
    assert {one.delivery.floor_number for one in found.values()} == {4}
    assert await all_actions(mesh) == [
        ("note", "dropped", 2),
        ("task", "dropped", 2),
        ("note", "pending", 4),
        ("task", "pending", 4),
    ]


async def test_given_a_late_success_when_a_second_package_waits_then_it_is_kept_and_holds_up_nothing(mesh: Mesh):
    turn = await escalated(mesh)
    held = await mesh.lease_deliveries()
    await mesh.release(turn.conversation.id)
    await escalated(mesh, text="otra vez")
    for leased in held:
        assert (await mesh.report(leased, sent=sent())).delivery.state == SENT
    assert len(await mesh.lease_deliveries()) == 2


async def test_given_kommo_down_for_hours_when_tried_often_then_an_action_ends_by_its_age_alone(mesh: Mesh):
    await escalated(mesh)
    for _ in range(30):
        for leased in (await by_kind(mesh)).values():
            assert (await mesh.retry(leased)).state == PENDING
        mesh.clock.advance(61)
    mesh.clock.advance(24 * 3600)
    assert await mesh.lease_deliveries() == []
    assert await all_actions(mesh) == [("note", "dead", 2), ("task", "dead", 2)]
    assert await work_left(mesh) == 0


async def test_given_an_action_that_cannot_be_done_when_reported_then_no_second_person_is_called(mesh: Mesh):
    turn = await escalated(mesh)
    before = await mesh.conversation(turn.conversation.id)
    for leased in await mesh.lease_deliveries():
        assert (await mesh.fail(leased)).state == DEAD
    after = await mesh.conversation(turn.conversation.id)
    assert after.floor == before.floor
    assert await mesh.lease_deliveries() == []


async def test_given_nothing_to_do_it_to_when_reported_then_it_is_dropped_with_the_reason(mesh: Mesh):
    await escalated(mesh, account="777")
    leased = (await by_kind(mesh))[UPDATE]
    report = await mesh.report(leased, skipped=outbox_pb.SkippedReport(reason="no_lead"))
    assert (report.delivery.state, report.delivery.reason) == (DROPPED, "no_lead")


@pytest.mark.parametrize("gives_back", [False, True])
async def test_given_a_dead_action_when_replayed_then_it_leaves_although_a_person_has_the_floor(mesh: Mesh, gives_back):
    turn = await escalated(mesh)
    found = await by_kind(mesh)
    await mesh.fail(found[TASK])
    await mesh.report(found[NOTE], sent=sent("n-1"))
    if gives_back:
        await mesh.release(turn.conversation.id)
    await mesh.replay(found[TASK].delivery.id)
    again = await mesh.lease_delivery()
    assert (again.delivery.id, again.delivery.floor_number) == (found[TASK].delivery.id, 2)
    assert again.delivery.task == found[TASK].delivery.task


async def test_given_a_package_when_a_second_of_its_number_is_written_then_the_database_refuses(mesh: Mesh):
    await escalated(mesh)

    def copy(connection, _now):
        row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.kind == "note")).mappings().one()
        connection.execute(DELIVERIES.insert().values({**row, "id": uuid4(), "sequence": 99}))

    with pytest.raises(IntegrityError):
        await mesh.store.write(copy)


async def test_given_two_accounts_with_one_chat_when_escalated_then_each_has_its_own_package(mesh: Mesh):
    await escalated(mesh)
    await escalated(mesh, account="777")
    leased = await mesh.lease_deliveries()
    owners = {(one.delivery.account_id, one.delivery.kind) for one in leased}
    assert owners == {(ACCOUNT_ID, NOTE), (ACCOUNT_ID, TASK), ("777", NOTE), ("777", TASK), ("777", UPDATE)}
