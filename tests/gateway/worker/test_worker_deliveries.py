"""Deliveries over the wire: sent, reported, and the next one taken, in place and by the loop."""

import asyncio

import pytest
from support.worker_peers import failing

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1.outbox_service_pb2 import ReportDeliveryResponse
from kommomesh.conversation.v1.turn_service_pb2 import CompleteTurnResponse
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh_runtime.parsing import from_seconds


async def reported(peers, running_worker, delivery):
    """Run a worker until it has reported a delivery that its loop picked up."""
    peers.outbox.due.put_nowait(delivery)
    async with running_worker():
        (request,) = await peers.outbox.reports.seen(1)
    return request


async def test_given_due_delivery_when_leased_then_sent_as_leased_and_reported(peers, running_worker, new_delivery):
    delivery = new_delivery(claimed_kommo_message_ids=["k-1"])
    delivery.unclear_since_time.FromSeconds(1_735_520_000)
    delivery.salesbot_continuation.return_url = "https://a.kommo.com/api/v4/salesbot/1/continue/2"
    delivery.salesbot_continuation.expire_time.FromSeconds(1_735_530_000)
    report = await reported(peers, running_worker, delivery)
    assert (report.delivery_id, report.lease_id) == (delivery.delivery.id, delivery.lease_id)
    assert report.sent.transport == "talk_message"
    assert list(report.sent.kommo_message_ids) == [f"kommo-{delivery.delivery.id}"]
    assert report.worker_id == "worker-1"
    (sent,) = peers.kommo.sends.requests
    assert (sent.delivery_id, sent.account_id, sent.chat_id, sent.talk_id) == (
        delivery.delivery.id,
        "12345",
        "chat-1",
        "77",
    )
    assert (sent.contact_id, sent.origin, sent.channel) == ("9", "waba", common.CHANNEL_WHATSAPP)
    assert sent.text == "Abrimos a las 9.30."
    assert sent.start_before_time == delivery.start_before_time
    assert sent.unclear_since_time == delivery.unclear_since_time
    assert list(sent.claimed_kommo_message_ids) == ["k-1"]
    waiting = sent.salesbot_continuation
    assert (waiting.return_url, waiting.expire_time.seconds) == (
        "https://a.kommo.com/api/v4/salesbot/1/continue/2",
        1_735_530_000,
    )


async def test_given_first_attempt_when_sent_then_no_unclear_time(peers, running_worker, new_delivery):
    await reported(peers, running_worker, new_delivery())
    assert not peers.kommo.sends.requests[0].HasField("unclear_since_time")


@pytest.mark.parametrize(
    ("answer", "kind", "is_unclear"),
    [
        (kommo_pb.SendMessageResponse(outcome=kommo_pb.SEND_OUTCOME_RETRY_LATER), "retry", False),
        (kommo_pb.SendMessageResponse(outcome=kommo_pb.SEND_OUTCOME_UNCLEAR), "retry", True),
        (kommo_pb.SendMessageResponse(), "retry", True),
        (kommo_pb.SendMessageResponse(outcome=kommo_pb.SEND_OUTCOME_TELL_PERSON), "failed", None),
        (failing("UNAVAILABLE"), "retry", True),
        (failing("DEADLINE_EXCEEDED"), "retry", True),
        (failing("CANCELLED"), "retry", True),
        (failing("INTERNAL"), "retry", True),
        (failing("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED", 2.5), "retry", False),
        (failing("PERMISSION_DENIED"), "retry", False),
        (failing("INVALID_ARGUMENT", "INVALID_FIELD"), "failed", None),
        (failing("NOT_FOUND", "ACCOUNT_NOT_FOUND"), "failed", None),
    ],
)
async def test_given_answer_of_kommo_service_when_sent_then_reported(
    peers, running_worker, new_delivery, answer, kind, is_unclear
):
    peers.kommo.sends.usual = answer
    report = await reported(peers, running_worker, new_delivery())
    assert report.WhichOneof("report") == kind
    assert getattr(report, kind).reason
    if kind == "retry":
        assert report.retry.is_unclear == is_unclear


async def test_given_retry_times_when_reported_then_carried_over(peers, running_worker, new_delivery):
    peers.kommo.sends.queued.append(
        kommo_pb.SendMessageResponse(
            outcome=kommo_pb.SEND_OUTCOME_RETRY_LATER, retry_after=from_seconds(7), reason="rate_limited"
        )
    )
    peers.kommo.sends.queued.append(failing("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED", 2.5))
    async with running_worker(max_deliveries_in_flight=1):
        peers.outbox.due.put_nowait(new_delivery())
        peers.outbox.due.put_nowait(new_delivery())
        first, second = await peers.outbox.reports.seen(2)
    assert (first.retry.reason, first.retry.retry_after.seconds) == ("rate_limited", 7)
    assert (second.retry.reason, second.retry.retry_after.ToMilliseconds()) == ("kommo_rate_limited", 2500)


async def test_given_earlier_unclear_attempt_when_nothing_sent_now_then_still_unclear(
    peers, running_worker, new_delivery
):
    peers.kommo.sends.usual = failing("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED", 1)
    delivery = new_delivery()
    delivery.unclear_since_time.FromSeconds(1_735_520_000)
    report = await reported(peers, running_worker, delivery)
    assert report.retry.is_unclear


async def test_given_turn_with_reply_when_completed_then_delivered_in_place_and_in_order(
    peers, running_worker, new_turn, new_delivery
):
    first, second, third = new_delivery("uno"), new_delivery("dos"), new_delivery("tres")
    peers.turns.completions.usual = CompleteTurnResponse(result=conv.TURN_RESULT_ANSWERED, deliveries=[first])
    peers.outbox.reports.queued.extend([ReportDeliveryResponse(next=second), ReportDeliveryResponse(next=third)])
    peers.turns.due.put_nowait(new_turn())
    async with running_worker():
        reports = await peers.outbox.reports.seen(3)
    assert [request.text for request in peers.kommo.sends.requests] == ["uno", "dos", "tres"]
    assert [report.lease_id for report in reports] == [first.lease_id, second.lease_id, third.lease_id]


async def test_given_no_delivery_in_place_when_completed_then_left_to_the_loop(peers, running_worker, new_turn):
    peers.turns.due.put_nowait(new_turn())
    async with running_worker(delivery_in_place=False):
        (request,) = await peers.turns.completions.seen(1)
    assert request.worker_id == ""


async def test_given_storage_down_when_reporting_then_same_report_repeated(peers, running_worker, new_delivery):
    peers.outbox.reports.queued.extend([failing("DEADLINE_EXCEEDED"), failing("RESOURCE_EXHAUSTED", "OVERLOADED")])
    peers.outbox.due.put_nowait(new_delivery())
    async with running_worker():
        reports = await peers.outbox.reports.seen(3)
    assert reports[0] == reports[1] == reports[2]
    assert len(peers.kommo.sends.requests) == 1


async def test_given_delivery_lease_lost_when_reporting_then_dropped_and_next_picked_up(
    peers, running_worker, new_delivery
):
    peers.outbox.reports.queued.append(failing("FAILED_PRECONDITION", "DELIVERY_LEASE_LOST"))
    first, second = new_delivery(), new_delivery()
    async with running_worker():
        peers.outbox.due.put_nowait(first)
        await peers.outbox.reports.seen(1)
        peers.outbox.due.put_nowait(second)
        reports = await peers.outbox.reports.seen(2)
    assert [report.lease_id for report in reports] == [first.lease_id, second.lease_id]


async def test_given_limit_when_many_deliveries_due_then_never_more_at_once(peers, running_worker, new_delivery):
    at_once, most = 0, 0
    full, go = asyncio.Event(), asyncio.Event()

    async def slow(request):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 3:
            full.set()
        await go.wait()
        at_once -= 1
        return kommo_pb.SendMessageResponse(outcome=kommo_pb.SEND_OUTCOME_SENT)

    peers.kommo.sends.usual = slow
    for _ in range(9):
        peers.outbox.due.put_nowait(new_delivery())
    async with running_worker(max_deliveries_in_flight=3):
        await full.wait()
        assert sum(request.max_deliveries for request in peers.outbox.leases.requests) == 3
        go.set()
        await peers.outbox.reports.seen(9)
    assert most == 3


async def test_given_kommo_service_down_when_it_fails_in_a_row_then_one_at_a_time_and_not_in_place(
    peers, running_worker, new_turn, new_delivery
):
    peers.kommo.sends.usual = failing("UNAVAILABLE")
    for _ in range(3):
        peers.outbox.due.put_nowait(new_delivery())
    async with running_worker():
        await peers.outbox.reports.seen(3)
        peers.turns.due.put_nowait(new_turn())
        (completed,) = await peers.turns.completions.seen(1)
        assert completed.worker_id == ""
        leases_before = len(peers.outbox.leases.requests)
        for _ in range(2):
            peers.outbox.due.put_nowait(new_delivery())
        await peers.outbox.leases.seen(leases_before + 1)
        assert peers.outbox.leases.requests[-1].max_deliveries == 1


async def test_given_kommo_service_back_when_one_is_sent_then_in_place_again(
    peers, running_worker, new_turn, new_delivery
):
    peers.kommo.sends.queued.extend([failing("UNAVAILABLE")] * 3)
    for _ in range(4):
        peers.outbox.due.put_nowait(new_delivery())
    async with running_worker(max_deliveries_in_flight=1):
        await peers.outbox.reports.seen(4)
        peers.turns.due.put_nowait(new_turn())
        (completed,) = await peers.turns.completions.seen(1)
    assert completed.worker_id == "worker-1"
