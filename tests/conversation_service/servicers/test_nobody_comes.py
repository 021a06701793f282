"""A person is called and nobody comes, over the wire and on both databases."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from support.conversation_mesh import ACCOUNT_ID, Mesh, running_mesh, sent

from conversation_service.adapters.tables import DELIVERIES
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

NOTE, TASK, NOTICE = pb.DELIVERY_KIND_NOTE, pb.DELIVERY_KIND_TASK, pb.DELIVERY_KIND_NOTICE
REMINDER, COURTESY, ALERT = pb.DELIVERY_KIND_REMINDER, pb.DELIVERY_KIND_COURTESY, pb.DELIVERY_KIND_ALERT
FOLLOWING = {REMINDER, COURTESY, ALERT}
WAIT = 1800
FIRST_WORDS = "Tu mensaje sigue en nuestra lista"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    """One account of a business that is always open, so that half an hour is half an hour at any time of the day."""
    (tmp_path / "business.toml").write_text('name = "Siempre abierto"\n')
    handoff = HandoffSettings(alert_url="https://hooks.example.com/kommo", trace_url="https://mesh.example/{turn_id}")
    return Accounts.of(
        Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1000, handoff=handoff, profile=tmp_path)
    )


@pytest.fixture
async def mesh(store, clock, accounts) -> AsyncIterator[Mesh]:
    async with running_mesh(store, accounts, clock) as running:
        yield running


async def called(mesh: Mesh, *, text: str = "quiero una persona") -> turn_pb.LeasedTurn:
    """Let a turn call a person, and let the package and the notice leave."""
    await mesh.client_writes(text)
    turn = await mesh.lease_turn()
    decision = turn_pb.EscalateDecision(
        reason_code="human_request",
        reason="Pide una persona.",
        priority=common.PRIORITY_MEDIUM,
        notice_parts=["ya te atiende una persona"],
    )
    await mesh.complete(turn, escalate=decision)
    return turn


async def leave(mesh: Mesh) -> dict[int, outbox_pb.LeasedDelivery]:
    """Lease what is due of the call and report it as done; return it by kind, each of which comes once."""
    leased = [one for one in await mesh.lease_deliveries(50) if one.delivery.kind != pb.DELIVERY_KIND_PROOF]
    for one in leased:
        await mesh.report(one, sent=sent(f"k-{one.delivery.id}"))
    kinds = [one.delivery.kind for one in leased]
    assert len(set(kinds)) == len(kinds)
    return {one.delivery.kind: one for one in leased}


async def stored(mesh: Mesh, kinds: Iterable[str] = ("reminder", "courtesy", "alert")) -> list[tuple[str, str, int]]:
    """Return kind, state and number of what was written ahead."""
    columns = DELIVERIES.c.kind, DELIVERIES.c.state, DELIVERIES.c.floor_number
    query = select(*columns).where(DELIVERIES.c.kind.in_(list(kinds))).order_by(columns[2], columns[0])
    return await mesh.store.read(lambda connection, _now: [tuple(row) for row in connection.execute(query)])


async def test_given_nobody_comes_when_half_an_hour_has_passed_then_task_alert_and_one_line_leave_once(mesh: Mesh):
    turn = await called(mesh)
    assert set(await leave(mesh)) == {NOTE, TASK, NOTICE}
    mesh.clock.advance(WAIT - 60)
    assert not FOLLOWING & set(await leave(mesh))
    mesh.clock.advance(61)
    found = await leave(mesh)
    assert set(found) == FOLLOWING
    task = found[REMINDER].delivery
    assert task.text == "[alta] Nadie respondió todavía al cliente: «quiero una persona». Pide una persona."
    assert task.task.priority == common.PRIORITY_HIGH
    assert task.task.due_time.seconds - task.not_before_time.seconds == 15 * 60
    alert = found[ALERT].delivery
    assert (alert.alert.kind, alert.alert.reason, alert.text) == ("nobody_came", "human_request", "")
    assert alert.alert.trace_url == f"https://mesh.example/{turn.turn_id}"
    assert found[COURTESY].delivery.text.startswith(FIRST_WORDS)
    mesh.clock.advance(20 * WAIT)
    assert not FOLLOWING & set(await leave(mesh))
    assert await stored(mesh) == [("alert", "sent", 2), ("courtesy", "sent", 2), ("reminder", "sent", 2)]


async def test_given_the_line_to_the_client_when_sent_then_it_is_the_bots_message_and_decides_nothing(mesh: Mesh):
    turn = await called(mesh)
    await leave(mesh)
    before = await mesh.conversation(turn.conversation.id)
    mesh.clock.advance(WAIT + 1)
    line = (await leave(mesh))[COURTESY].delivery
    assert (await mesh.bot_said(turn.conversation.id))[-1] == line.text
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    after = await mesh.conversation(turn.conversation.id)
    assert after.floor == before.floor
    assert after.bot_message_count == before.bot_message_count + 1
    # Kommo reports the line back, under another name for its author even: nobody has come by that.
    await mesh.company_writes(line.text, f"k-{line.id}", is_person=True)
    assert (await mesh.conversation(turn.conversation.id)).floor == before.floor


async def test_given_an_echo_of_the_line_before_its_report_when_it_comes_then_nobody_takes_the_floor(mesh: Mesh):
    turn = await called(mesh)
    await leave(mesh)
    mesh.clock.advance(WAIT + 1)
    held = {one.delivery.kind: one for one in await mesh.lease_deliveries(50)}
    line = held[COURTESY]
    await mesh.company_writes(line.delivery.text, "k-9", is_person=True)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    await mesh.report(line, sent=sent("k-9"))
    assert (await mesh.bot_said(turn.conversation.id)).count(line.delivery.text) == 1


@pytest.mark.parametrize("how", ["writes", "takes over", "gives back", "closes"])
async def test_given_somebody_comes_when_the_time_has_passed_then_none_of_the_three_leaves(mesh: Mesh, how: str):
    turn = await called(mesh)
    await leave(mesh)
    mesh.clock.advance(WAIT - 5)
    conversation_id = turn.conversation.id
    match how:
        case "writes":
            await mesh.company_writes("Hola, soy Eva", is_person=True)
        case "takes over":
            await mesh.take_over(conversation_id)
        case "gives back":
            await mesh.release(conversation_id)
        case _:
            request = service_pb.ResolveConversationRequest(conversation_id=conversation_id, request_id=str(uuid4()))
            await mesh.conversations.ResolveConversation(request)
    assert not (await mesh.conversation(conversation_id)).HasField("reminder_time")
    mesh.clock.advance(60)
    assert not FOLLOWING & set(await leave(mesh))
    assert await stored(mesh) == [("alert", "dropped", 2), ("courtesy", "dropped", 2), ("reminder", "dropped", 2)]


async def test_given_a_second_call_when_its_time_has_passed_then_only_its_own_three_leave(mesh: Mesh):
    turn = await called(mesh)
    await leave(mesh)
    mesh.clock.advance(WAIT - 100)
    await mesh.release(turn.conversation.id)
    await called(mesh, text="otra vez, una persona")
    assert set(await leave(mesh)) == {NOTE, TASK, NOTICE}
    mesh.clock.advance(200)
    assert not FOLLOWING & set(await leave(mesh))
    mesh.clock.advance(WAIT)
    found = await leave(mesh)
    assert {kind: one.delivery.floor_number for kind, one in found.items()} == dict.fromkeys(FOLLOWING, 4)
    assert [state for _, state, number in await stored(mesh) if number == 2] == ["dropped"] * 3


async def test_given_a_person_is_waited_for_when_looked_at_then_the_clock_is_shown(mesh: Mesh):
    turn = await called(mesh)
    conversation = await mesh.conversation(turn.conversation.id)
    due = conversation.reminder_time.ToDatetime(tzinfo=UTC)
    assert due - conversation.escalate_time.ToDatetime(tzinfo=UTC) == timedelta(seconds=WAIT)
    listed = await mesh.conversations.ListConversations(service_pb.ListConversationsRequest(account_id=ACCOUNT_ID))
    assert [one.reminder_time for one in listed.conversations] == [conversation.reminder_time]
    await leave(mesh)
    mesh.clock.advance(WAIT + 1)
    await leave(mesh)
    assert (await mesh.conversation(turn.conversation.id)).reminder_time == conversation.reminder_time


async def test_given_kommo_takes_no_package_when_two_minutes_have_passed_then_one_alert_says_so(mesh: Mesh):
    await called(mesh)
    for _ in range(3):
        held = {one.delivery.kind: one for one in await mesh.lease_deliveries(50)}
        assert ALERT not in held
        for kind in (NOTE, TASK):
            await mesh.retry(held[kind])
        mesh.clock.advance(61)
    (alert,) = [one for one in await mesh.lease_deliveries(50) if one.delivery.kind == ALERT]
    assert (alert.delivery.alert.kind, alert.delivery.alert.reason) == ("package_waiting", "kommo_unavailable")
    assert alert.delivery.alert.priority == common.PRIORITY_MEDIUM
    await mesh.report(alert, sent=sent())
    for _ in range(3):
        mesh.clock.advance(61)
        assert not [one for one in await mesh.lease_deliveries(50) if one.delivery.kind == ALERT]
    assert sorted(await stored(mesh, ["alert"])) == [("alert", "pending", 2), ("alert", "sent", 2)]


async def test_given_a_package_that_cannot_be_done_when_reported_then_the_alert_says_so_at_once(mesh: Mesh):
    await called(mesh)
    for one in await mesh.lease_deliveries(50):
        if one.delivery.kind in (NOTE, TASK):
            await mesh.fail(one)
    (alert,) = [one for one in await mesh.lease_deliveries(50) if one.delivery.kind == ALERT]
    assert (alert.delivery.alert.kind, alert.delivery.alert.reason) == ("package_waiting", "talk_closed")


async def test_given_a_person_who_came_meanwhile_when_kommo_takes_no_package_then_nobody_is_alerted(mesh: Mesh):
    turn = await called(mesh)
    held = {one.delivery.kind: one for one in await mesh.lease_deliveries(50)}
    await mesh.take_over(turn.conversation.id)
    await mesh.fail(held[TASK])
    # The one that was written ahead, for when nobody comes.
    assert await stored(mesh, ["alert"]) == [("alert", "pending", 2)]


async def test_given_an_account_without_requests_left_when_an_alert_is_due_then_it_does_not_wait(
    store, clock, accounts
):
    (account,) = accounts
    slow = Accounts.of(account.model_copy(update={"requests_per_second": 0.001}))
    async with running_mesh(store, slow, clock) as mesh:
        await called(mesh)
        for one in await mesh.lease_deliveries(50):
            await mesh.retry(one)
        mesh.clock.advance(WAIT + 1)
        # The bucket has one token at most, and whatever asks Kommo waits for the next.
        kinds = [one.delivery.kind for _ in range(3) for one in await mesh.lease_deliveries(50)]
        assert ALERT in kinds
        assert len(kinds) < 4


async def test_given_a_call_asked_for_from_outside_when_repeated_then_the_client_is_told_once(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    request = service_pb.EscalateConversationRequest(conversation_id=conversation_id, request_id=str(uuid4()))
    await asyncio.gather(*(mesh.conversations.EscalateConversation(request) for _ in range(4)))
    found = await leave(mesh)
    assert set(found) == {NOTE, TASK, NOTICE}
    assert found[NOTICE].delivery.text.startswith("Te paso con una persona del equipo")
    assert (await mesh.bot_said(conversation_id)) == [found[NOTICE].delivery.text]


async def test_given_a_client_who_writes_portuguese_when_nobody_comes_then_the_line_is_in_that_language(mesh: Mesh):
    await mesh.client_writes("quero falar com uma pessoa")
    turn = await mesh.lease_turn()
    await mesh.turns.CompleteTurn(
        turn_pb.CompleteTurnRequest(
            turn_id=turn.turn_id,
            read_message_ids=[message.id for message in turn.messages],
            escalate=turn_pb.EscalateDecision(reason_code="human_request", notice_parts=["já te atendem"]),
            analysis={"language": "pt"},
        )
    )
    await leave(mesh)
    mesh.clock.advance(WAIT + 1)
    assert (await leave(mesh))[COURTESY].delivery.text.startswith("Sua mensagem continua")


async def test_given_closed_hours_when_a_person_is_called_then_nobody_is_missed_before_the_doors_open(
    store, clock, tmp_path
):
    today = datetime.now(UTC)
    later = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")[(today.weekday() + 2) % 7]
    spans = f'[hours]\n{later} = [{{opens = "09:00:00", closes = "18:00:00"}}]\n'
    (tmp_path / "business.toml").write_text(f'name = "Una vez por semana"\ntimezone = "UTC"\n{spans}')
    accounts = Accounts.of(Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1000, profile=tmp_path))
    async with running_mesh(store, accounts, clock) as mesh:
        turn = await called(mesh)
        due = (await mesh.conversation(turn.conversation.id)).reminder_time.ToDatetime(tzinfo=UTC)
    assert (due.hour, due.minute, due.second) == (9, 30, 0)
    assert due - today > timedelta(hours=24)


async def test_given_a_notice_that_has_not_left_when_the_line_is_due_then_it_waits_for_the_notice(
    store, clock, accounts
):
    patient = accounts.get(ACCOUNT_ID).model_copy(update={"delivery_max_age_seconds": 10_000})
    async with running_mesh(store, Accounts.of(patient), clock) as mesh:
        await called(mesh)
        held = {one.delivery.kind: one for one in await mesh.lease_deliveries(50)}
        await mesh.retry(held[NOTICE], after=60)
        mesh.clock.advance(WAIT + 1)
        due = {one.delivery.kind: one for one in await mesh.lease_deliveries(50)}
        assert NOTICE in due
        assert COURTESY not in due
        await mesh.report(due[NOTICE], sent=sent("k-notice"))
        mesh.clock.advance(11)
        assert COURTESY in [one.delivery.kind for one in await mesh.lease_deliveries(50)]
