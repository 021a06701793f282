"""OutboxService over the wire, on both databases: leases, reports and the rate."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from support.conversation_mesh import ACCOUNT_ID, Mesh, answer, refused, running_mesh, seconds, sent

from conversation_service.adapters.tables import RATE_BUCKETS
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts

LOST = ("FAILED_PRECONDITION", "DELIVERY_LEASE_LOST")


async def test_given_an_answer_when_sent_then_it_is_a_message_and_the_question_is_answered(mesh: Mesh):
    await mesh.client_writes("¿precio?")
    turn = await mesh.lease_turn()
    decision = answer("$ 100", ai_model="gpt", tokens_used=42, products_referenced=["V-1"])
    await mesh.complete(turn, answer=decision)
    leased = await mesh.lease_delivery()
    assert (leased.chat_id, leased.talk_id, leased.origin, leased.contact_name) == ("chat-1", "71", "waba", "Ana")
    assert leased.delivery.attempt_count == 1
    assert not leased.HasField("unclear_since_time")
    assert await mesh.outcomes(turn.conversation.id) == ["UNSPECIFIED"]
    assert await mesh.bot_said(turn.conversation.id) == []
    report = await mesh.report(leased, sent=sent("k-1", "k-2"))
    assert report.delivery.state == pb.DELIVERY_STATE_SENT
    assert list(report.delivery.kommo_message_ids) == ["k-1", "k-2"]
    message = (await mesh.messages(turn.conversation.id))[-1]
    assert (message.content, message.kommo_message_id, message.turn_id) == ("$ 100", "k-1", turn.turn_id)
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]
    conversation = await mesh.conversation(turn.conversation.id)
    assert (conversation.message_count, conversation.bot_message_count) == (2, 1)
    assert conversation.HasField("last_bot_response_time")
    assert await mesh.lease_deliveries() == []


async def test_given_a_success_when_reported_again_and_at_once_then_there_is_one_message(mesh: Mesh):
    turn = await mesh.answered("buenas")
    leased = await mesh.lease_delivery()
    reports = await asyncio.gather(*(mesh.report(leased, sent=sent("k-1")) for _ in range(6)))
    assert {report.delivery.state for report in reports} == {pb.DELIVERY_STATE_SENT}
    assert await mesh.bot_said(turn.conversation.id) == ["buenas"]
    assert (await mesh.conversation(turn.conversation.id)).bot_message_count == 1


async def test_given_several_bubbles_when_leased_then_they_leave_one_by_one_in_order(mesh: Mesh):
    turn = await mesh.answered("uno", "dos", "tres")
    leased = await mesh.lease_delivery()
    texts = [leased.delivery.text]
    assert await mesh.lease_deliveries() == []
    reported = await mesh.report(leased, worker="worker-1", sent=sent("k-1"))
    assert await mesh.outcomes(turn.conversation.id) == ["UNSPECIFIED"]
    while reported.HasField("next"):
        texts.append(reported.next.delivery.text)
        reported = await mesh.report(reported.next, worker="worker-1", sent=sent(f"k-{len(texts)}"))
    assert texts == ["uno", "dos", "tres"] == await mesh.bot_said(turn.conversation.id)
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_two_turns_when_the_first_waits_in_backoff_then_the_second_does_not_overtake_it(mesh: Mesh):
    await mesh.answered("primera")
    first = await mesh.lease_delivery()
    await mesh.retry(first, after=60)
    turn = await mesh.answered("segunda", text="¿y?")
    assert await mesh.lease_deliveries() == []
    mesh.clock.advance(61)
    again = await mesh.lease_delivery()
    assert (again.delivery.text, again.delivery.attempt_count) == ("primera", 2)
    reported = await mesh.report(again, worker="worker-1", sent=sent("k-1"))
    assert reported.next.delivery.text == "segunda"
    assert reported.next.delivery.turn_id == turn.turn_id


async def test_given_a_waiting_reply_when_another_turn_completes_then_it_hands_nothing_out_before_it(mesh: Mesh):
    await mesh.answered("primera")
    await mesh.client_writes("¿y?")
    turn = await mesh.lease_turn()
    done = await mesh.complete(turn, worker="worker-1", answer=answer("segunda"))
    assert list(done.deliveries) == []
    assert (await mesh.lease_delivery()).delivery.text == "primera"


@pytest.mark.parametrize("gives_back", [False, True])
async def test_given_a_take_over_when_a_reply_waits_then_it_never_leaves(mesh: Mesh, gives_back):
    turn = await mesh.answered("uno", "dos")
    first = await mesh.lease_delivery()
    await mesh.take_over(turn.conversation.id)
    if gives_back:
        await mesh.release(turn.conversation.id)
    reported = await mesh.report(first, worker="worker-1", sent=sent("k-1"))
    assert not reported.HasField("next")
    assert await mesh.lease_deliveries() == []
    states = [delivery.state for delivery in (await mesh.trace(turn_id=turn.turn_id)).deliveries]
    assert states == [pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DROPPED]
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    assert await mesh.bot_said(turn.conversation.id) == ["uno"]


async def test_given_a_notice_when_a_person_writes_first_then_it_is_dropped(mesh: Mesh):
    await mesh.client_writes("quiero una persona")
    turn = await mesh.lease_turn()
    await mesh.complete(turn, escalate=turn_pb.EscalateDecision(reason_code="human_request", notice_parts=["ya va"]))
    await mesh.company_writes("Hola, soy Eva", is_person=True)
    assert await mesh.lease_deliveries() == []
    (delivery,) = (await mesh.trace(turn_id=turn.turn_id)).deliveries
    assert (delivery.state, delivery.reason) == (pb.DELIVERY_STATE_DROPPED, "floor_changed")


async def test_given_unclear_attempts_when_leased_again_then_it_says_when_the_first_began(mesh: Mesh):
    await mesh.answered("uno")
    first = held = await mesh.lease_delivery()
    for _ in range(3):
        await mesh.retry(held, unclear=True)
        mesh.clock.advance(10)
        held = await mesh.lease_delivery()
        assert held.unclear_since_time.ToNanoseconds() == first.start_before_time.ToNanoseconds() - 5_000_000_000
        assert list(held.claimed_kommo_message_ids) == []


async def test_given_an_unclear_attempt_when_another_delivery_is_proved_then_its_ids_are_claimed(mesh: Mesh):
    turn = await mesh.answered("uno")
    late = await mesh.lease_delivery()
    await mesh.fail(late)
    await mesh.release(turn.conversation.id)
    await mesh.answered("dos", text="¿y?")
    await mesh.retry(await mesh.lease_delivery(), unclear=True)
    await mesh.report(late, sent=sent("k-7", "k-8"))
    mesh.clock.advance(5)
    again = await mesh.lease_delivery()
    assert again.delivery.text == "dos"
    assert list(again.claimed_kommo_message_ids) == ["k-7", "k-8"]


async def test_given_a_lease_that_says_nothing_when_it_expires_then_the_attempt_counts_as_unclear(mesh: Mesh):
    await mesh.answered("uno")
    await mesh.lease_delivery()
    mesh.clock.advance(31)
    again = await mesh.lease_delivery()
    assert again.HasField("unclear_since_time")
    assert again.delivery.attempt_count == 2


async def test_given_an_attempt_that_clearly_did_not_leave_when_leased_again_then_nothing_is_unclear(mesh: Mesh):
    await mesh.answered("uno")
    delivery = await mesh.retry(await mesh.lease_delivery())
    assert (delivery.state, delivery.reason) == (pb.DELIVERY_STATE_PENDING, "kommo_unavailable")
    assert await mesh.lease_deliveries() == []
    mesh.clock.advance(2)
    assert not (await mesh.lease_delivery()).HasField("unclear_since_time")


async def test_given_an_unclear_attempt_when_the_next_clearly_fails_then_the_first_stays_unclear(mesh: Mesh):
    await mesh.answered("uno")
    first = await mesh.lease_delivery()
    await mesh.retry(first, unclear=True)
    mesh.clock.advance(5)
    second = await mesh.lease_delivery()
    await mesh.retry(second)
    mesh.clock.advance(5)
    assert (await mesh.lease_delivery()).unclear_since_time == second.unclear_since_time


async def test_given_a_lost_lease_when_reported_then_only_a_success_is_kept(mesh: Mesh):
    turn = await mesh.answered("uno")
    old = await mesh.lease_delivery()
    mesh.clock.advance(31)
    new = await mesh.lease_delivery()
    retry = outbox_pb.RetryReport(reason="kommo_unavailable")
    assert await refused(mesh.report(old, retry=retry)) == LOST
    assert await refused(mesh.report(old, failed=outbox_pb.FailedReport(reason="gone"))) == LOST
    assert (await mesh.report(old, sent=sent("k-1"))).delivery.state == pb.DELIVERY_STATE_SENT
    # The new holder learns it, whatever it says.
    assert (await mesh.report(new, retry=retry)).delivery.state == pb.DELIVERY_STATE_SENT
    mesh.clock.advance(100)
    assert await mesh.lease_deliveries() == []
    assert await mesh.bot_said(turn.conversation.id) == ["uno"]


async def test_given_a_repeated_retry_when_it_comes_late_then_the_backoff_does_not_start_again(mesh: Mesh):
    await mesh.answered("uno")
    leased = await mesh.lease_delivery()
    await mesh.retry(leased, after=10)
    mesh.clock.advance(9)
    await mesh.retry(leased, after=10)
    mesh.clock.advance(2)
    assert (await mesh.lease_delivery()).delivery.attempt_count == 2


async def test_given_an_account_without_tokens_when_leased_then_the_others_are_not_held_up(store, clock):
    slow = Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1)
    accounts = Accounts.of(slow, Account(id="777", subdomain="other", requests_per_second=1000))
    async with running_mesh(store, accounts, clock) as mesh:
        for number in range(8):
            await mesh.client_writes("hola", chat=f"slow-{number}")
        await mesh.client_writes("hola", chat="quick", account="777")
        clock.advance(3)
        for turn in await mesh.lease_turns():
            await mesh.complete(turn, answer=answer("buenas"))
        first = await mesh.lease_deliveries(4)
        second = await mesh.lease_deliveries(4)
        by_account = sorted(leased.delivery.account_id for leased in [*first, *second])
        assert by_account == [ACCOUNT_ID, "777"]
        clock.advance(1.2)
        assert len(await mesh.lease_deliveries()) == 1


async def test_given_a_delivery_that_costs_more_than_is_left_when_leased_then_it_holds_up_no_other(mesh: Mesh):
    await mesh.answered("uno")
    await mesh.retry(await mesh.lease_delivery(), unclear=True)
    mesh.clock.advance(2)
    await mesh.client_writes("hola", chat="other", account="777")
    mesh.clock.advance(3)
    (turn,) = await mesh.lease_turns()
    await mesh.complete(turn, answer=answer("dos"))

    def leave_one_token(connection, now):
        # A time to come, so that nothing is filled up meanwhile.
        values = {"tokens": 1.2, "refilled_at": now + timedelta(hours=1)}
        connection.execute(update(RATE_BUCKETS).where(RATE_BUCKETS.c.account_id == ACCOUNT_ID).values(values))

    await mesh.store.write(leave_one_token)
    assert [leased.delivery.text for leased in await mesh.lease_deliveries(1)] == ["dos"]


async def test_given_a_spent_rate_when_a_turn_completes_then_its_delivery_is_left_to_the_loop(store, clock):
    accounts = Accounts.of(Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1))
    async with running_mesh(store, accounts, clock) as mesh:
        for chat in ("chat-1", "chat-2"):
            await mesh.client_writes("hola", chat=chat)
        clock.advance(3)
        turns = await mesh.lease_turns()
        done = [await mesh.complete(turn, worker="worker-1", answer=answer("buenas")) for turn in turns]
        assert [len(one.deliveries) for one in done] == [1, 0]
        clock.advance(1.2)
        assert len(await mesh.lease_deliveries()) == 1


async def test_given_a_waiting_worker_when_an_answer_is_written_then_it_gets_the_delivery(mesh: Mesh):
    waiting = asyncio.create_task(mesh.lease_deliveries(wait=20))
    await mesh.answered("buenas")
    async with asyncio.timeout(60):
        assert [leased.delivery.text for leased in await waiting] == ["buenas"]


async def test_given_a_talk_that_took_it_when_reported_then_the_next_delivery_goes_there(mesh: Mesh):
    await mesh.answered("uno", "dos")
    reported = await mesh.report(await mesh.lease_delivery(), worker="w", sent=sent("k-1", talk_id="99"))
    assert reported.next.talk_id == "99"


async def test_given_unknown_deliveries_when_asked_for_then_the_contract_names_the_error(mesh: Mesh):
    unknown = str(uuid4())
    report = outbox_pb.ReportDeliveryRequest(delivery_id=unknown, lease_id=unknown, sent=sent("k-1"))
    assert await refused(mesh.outbox.ReportDelivery(report)) == ("NOT_FOUND", "DELIVERY_NOT_FOUND")
    assert await refused(mesh.replay(unknown)) == ("NOT_FOUND", "DELIVERY_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("LeaseDeliveries", outbox_pb.LeaseDeliveriesRequest(max_deliveries=1)),
        ("LeaseDeliveries", outbox_pb.LeaseDeliveriesRequest(worker_id="w")),
        (
            "LeaseDeliveries",
            outbox_pb.LeaseDeliveriesRequest(worker_id="w", max_deliveries=1, wait_duration=seconds(21)),
        ),
        ("ReportDelivery", outbox_pb.ReportDeliveryRequest(delivery_id=str(uuid4()), lease_id=str(uuid4()))),
        ("ReportDelivery", outbox_pb.ReportDeliveryRequest(delivery_id="x", lease_id=str(uuid4()), sent=sent())),
        ("ListDeadLetters", outbox_pb.ListDeadLettersRequest()),
        ("ListDeadLetters", outbox_pb.ListDeadLettersRequest(account_id="1", page_token="junk")),
        ("ListDeadLetters", outbox_pb.ListDeadLettersRequest(account_id="1", page_size=201)),
        ("ReplayDelivery", outbox_pb.ReplayDeliveryRequest(delivery_id=str(uuid4()))),
    ],
)
async def test_given_a_wrong_request_when_sent_then_it_is_refused(mesh: Mesh, method, request_):
    assert await refused(getattr(mesh.outbox, method)(request_)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
