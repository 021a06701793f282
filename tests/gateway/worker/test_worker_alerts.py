"""What follows where nobody comes, at the worker: alerts are called, the second task is a task."""

from datetime import UTC, datetime

import pytest
from support.worker_peers import failing

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.kommo.v1 import alert_pb2 as alert_pb
from kommomesh_runtime.parsing import from_seconds, from_time

DUE = from_time(datetime(2026, 3, 2, 12, tzinfo=UTC))
LATER = from_seconds(7)


@pytest.fixture
def alert(new_delivery):
    leased = new_delivery("")
    details = conv.AlertDetails(
        kind="nobody_came",
        reason="complaint",
        priority=common.PRIORITY_HIGH,
        since_time=DUE,
        trace_url="https://mesh.example/t-1",
    )
    leased.delivery.MergeFrom(conv.Delivery(kind=conv.DELIVERY_KIND_ALERT, alert=details, create_time=DUE))
    return leased


async def reported(peers, running_worker, leased):
    peers.outbox.due.put_nowait(leased)
    async with running_worker():
        (report,) = await peers.outbox.reports.seen(1)
    assert peers.kommo.sends.requests == []
    return report


async def test_given_an_alert_when_leased_then_the_address_is_called_with_what_it_says(peers, running_worker, alert):
    report = await reported(peers, running_worker, alert)
    (asked,) = peers.kommo.alerts.requests
    assert asked == alert_pb.SendAlertRequest(
        delivery_id=alert.delivery.id,
        account_id="12345",
        conversation_id="c-1",
        kind="nobody_came",
        reason="complaint",
        priority=common.PRIORITY_HIGH,
        since_time=DUE,
        create_time=DUE,
        trace_url="https://mesh.example/t-1",
    )
    assert (report.sent.transport, list(report.sent.kommo_message_ids)) == ("alert", [])


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (
            alert_pb.SendAlertResponse(outcome=alert_pb.ALERT_OUTCOME_SKIPPED, reason="no_alert_url"),
            "skipped",
            "no_alert_url",
        ),
        (
            alert_pb.SendAlertResponse(outcome=alert_pb.ALERT_OUTCOME_REFUSED, reason="alert_host_not_allowed"),
            "failed",
            "alert_host_not_allowed",
        ),
        (
            alert_pb.SendAlertResponse(
                outcome=alert_pb.ALERT_OUTCOME_RETRY_LATER, reason="alert_timeout", retry_after=LATER
            ),
            "retry",
            "alert_timeout",
        ),
        (alert_pb.SendAlertResponse(), "retry", "later"),
        (failing("RESOURCE_EXHAUSTED", "", 7), "retry", "resource_exhausted"),
        (failing("NOT_FOUND", "ACCOUNT_NOT_FOUND"), "failed", "account_not_found"),
    ],
)
async def test_given_an_answer_when_alerted_then_reported_as_what_it_means(
    peers, running_worker, alert, answer, kind, reason
):
    peers.kommo.alerts.queued.append(answer)
    report = await reported(peers, running_worker, alert)
    assert report.WhichOneof("report") == kind
    assert getattr(report, kind).reason == reason
    assert kind != "retry" or reason == "later" or report.retry.retry_after == LATER


async def test_given_the_second_task_when_leased_then_kommo_gets_a_task(peers, running_worker, new_delivery):
    leased = new_delivery("[alta] Nadie respondió todavía al cliente.")
    details = conv.TaskDetails(due_time=DUE, responsible_user_id=7)
    leased.delivery.MergeFrom(conv.Delivery(kind=conv.DELIVERY_KIND_REMINDER, task=details))
    report = await reported(peers, running_worker, leased)
    (asked,) = peers.kommo.hand_offs.requests
    assert (asked.task.text, asked.task.due_time) == ("[alta] Nadie respondió todavía al cliente.", DUE)
    assert asked.task.responsible_user_id == 7
    assert report.sent.transport == "reminder"


async def test_given_the_line_to_the_client_when_leased_then_it_is_sent_as_a_message(
    peers, running_worker, new_delivery
):
    leased = new_delivery("Tu mensaje sigue en nuestra lista.")
    leased.delivery.kind = conv.DELIVERY_KIND_COURTESY
    peers.outbox.due.put_nowait(leased)
    async with running_worker():
        (report,) = await peers.outbox.reports.seen(1)
    assert [one.text for one in peers.kommo.sends.requests] == ["Tu mensaje sigue en nuestra lista."]
    assert report.sent.transport == "talk_message"
