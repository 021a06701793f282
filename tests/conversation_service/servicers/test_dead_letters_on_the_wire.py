"""What cannot be sent: a person is told, and somebody may replay it."""

import asyncio
from uuid import uuid4

from structlog.testing import capture_logs
from support.conversation_mesh import ACCOUNT_ID, Mesh, refused, running_mesh, sent

from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh_runtime.telemetry import REGISTRY


async def test_given_a_permanent_failure_when_reported_then_a_person_is_called_and_the_rest_is_dropped(mesh: Mesh):
    turn = await mesh.answered("uno", "dos")
    await mesh.client_writes("¿y?")
    leased = await mesh.lease_delivery()
    for _ in range(2):
        assert (await mesh.fail(leased)).state == pb.DELIVERY_STATE_DEAD
    conversation = await mesh.conversation(turn.conversation.id)
    assert conversation.status == pb.CONVERSATION_STATUS_ESCALATED
    assert (conversation.floor.is_failure, conversation.escalation_reason) == (True, "talk_closed")
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"] * 2
    states = [delivery.state for delivery in (await mesh.trace(turn_id=turn.turn_id)).deliveries]
    assert states == [pb.DELIVERY_STATE_DEAD, pb.DELIVERY_STATE_DROPPED]
    mesh.clock.advance(5)
    assert await mesh.lease_turns() == []
    assert await mesh.lease_deliveries() == []


async def test_given_attempts_that_all_fail_when_the_last_is_reported_then_it_is_a_dead_letter(store, clock, accounts):
    async with running_mesh(store, accounts, clock, max_attempts=3) as mesh:
        turn = await mesh.answered("uno")
        states = []
        for _ in range(3):
            states.append((await mesh.retry(await mesh.lease_delivery())).state)
            mesh.clock.advance(20)
        assert states == [pb.DELIVERY_STATE_PENDING, pb.DELIVERY_STATE_PENDING, pb.DELIVERY_STATE_DEAD]
        assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]


async def test_given_a_reply_that_waited_too_long_when_leased_then_it_becomes_a_hand_over(mesh: Mesh):
    turn = await mesh.answered("uno", "dos")
    mesh.clock.advance(901)
    assert await mesh.lease_deliveries() == []
    deliveries = (await mesh.trace(turn_id=turn.turn_id)).deliveries
    assert [(one.state, one.reason) for one in deliveries] == [
        (pb.DELIVERY_STATE_DEAD, "delivery_too_old"),
        (pb.DELIVERY_STATE_DROPPED, "floor_changed"),
    ]
    assert (await mesh.conversation(turn.conversation.id)).floor.is_failure
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]


async def test_given_a_reply_that_waited_too_long_when_given_up_then_it_is_counted_and_told_as_a_dead_letter(
    mesh: Mesh,
):
    def dead() -> float:
        return REGISTRY.get_sample_value("deliveries_reported_total", {"state": "dead"}) or 0.0

    turn = await mesh.answered("uno")
    before = dead()
    mesh.clock.advance(901)
    with capture_logs() as logs:
        await mesh.lease_deliveries()
    assert dead() == before + 1
    (delivery,) = (await mesh.trace(turn_id=turn.turn_id)).deliveries
    (told,) = [one for one in logs if one["event"] == "delivery.given_up"]
    assert (told["delivery_id"], told["reason"]) == (delivery.id, "delivery_too_old")


async def test_given_dead_letters_when_listed_page_by_page_then_the_newest_come_first(mesh: Mesh):
    for number in range(5):
        await mesh.answered(f"respuesta {number}", chat=f"chat-{number}")
        await mesh.fail(await mesh.lease_delivery())
    texts, token = [], ""
    while True:
        request = outbox_pb.ListDeadLettersRequest(account_id=ACCOUNT_ID, page_size=2, page_token=token)
        page = await mesh.outbox.ListDeadLetters(request)
        texts.append([delivery.text for delivery in page.deliveries])
        token = page.next_page_token
        if not token:
            break
    assert texts == [["respuesta 4", "respuesta 3"], ["respuesta 2", "respuesta 1"], ["respuesta 0"]]
    other = await mesh.outbox.ListDeadLetters(outbox_pb.ListDeadLettersRequest(account_id="777"))
    assert list(other.deliveries) == []


async def test_given_a_dead_letter_when_replayed_by_force_then_it_leaves_although_a_person_has_the_floor(mesh: Mesh):
    turn = await mesh.answered("uno")
    dead = await mesh.fail(await mesh.lease_delivery())
    assert await refused(mesh.replay(dead.id)) == ("FAILED_PRECONDITION", "PERSON_HAS_FLOOR")
    request_id = str(uuid4())
    replayed = await asyncio.gather(*(mesh.replay(dead.id, force=True, request_id=request_id) for _ in range(4)))
    assert {delivery.state for delivery in replayed} == {pb.DELIVERY_STATE_PENDING}
    leased = await mesh.lease_delivery()
    assert (leased.delivery.id, leased.delivery.attempt_count) == (dead.id, 1)
    recorded = [one for one in (await mesh.trace(turn_id=turn.turn_id)).deliveries if one.id == dead.id]
    assert [(dead.is_forced, one.is_forced) for one in recorded] == [(False, True)]
    await mesh.report(leased, sent=sent("k-1"))
    assert await mesh.bot_said(turn.conversation.id) == ["uno"]
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    assert (await mesh.replay(dead.id, force=True, request_id=request_id)).state == pb.DELIVERY_STATE_SENT
    assert await refused(mesh.replay(dead.id)) == ("FAILED_PRECONDITION", "DELIVERY_NOT_DEAD")


async def test_given_a_give_back_when_a_dead_letter_is_replayed_then_it_needs_no_force_and_is_fresh(mesh: Mesh):
    turn = await mesh.answered("uno")
    dead = await mesh.fail(await mesh.lease_delivery())
    await mesh.release(turn.conversation.id)
    mesh.clock.advance(5000)
    await mesh.replay(dead.id)
    assert (await mesh.lease_delivery()).delivery.id == dead.id


async def test_given_a_replay_when_a_person_takes_over_before_it_leaves_then_it_is_dropped(mesh: Mesh):
    turn = await mesh.answered("uno")
    dead = await mesh.fail(await mesh.lease_delivery())
    await mesh.release(turn.conversation.id)
    await mesh.replay(dead.id)
    await mesh.take_over(turn.conversation.id)
    assert await mesh.lease_deliveries() == []
