"""Actions of hand-overs over the wire: carried out through kommo-service and reported alike."""

from datetime import UTC, datetime

import pytest
from support.worker_peers import failing

from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh_runtime.parsing import from_seconds, from_time

DUE = from_time(datetime(2026, 3, 2, 12, tzinfo=UTC))


@pytest.fixture
def new_action(new_delivery):
    def make(kind=conv.DELIVERY_KIND_NOTE, **fields):
        leased = new_delivery("Cliente: «hola»", lead_id="6")
        leased.delivery.MergeFrom(conv.Delivery(kind=kind, **fields))
        return leased

    return make


async def reported(peers, running_worker, leased):
    peers.outbox.due.put_nowait(leased)
    async with running_worker():
        (report,) = await peers.outbox.reports.seen(1)
    assert peers.kommo.sends.requests == []
    return report


async def test_given_a_note_when_leased_then_carried_out_as_leased_and_reported(peers, running_worker, new_action):
    leased = new_action()
    leased.unclear_since_time.FromSeconds(1_735_520_000)
    report = await reported(peers, running_worker, leased)
    (asked,) = peers.kommo.hand_offs.requests
    assert (asked.delivery_id, asked.account_id) == (leased.delivery.id, "12345")
    assert (asked.talk_id, asked.contact_id, asked.lead_id) == ("77", "9", "6")
    assert asked.note.text == "Cliente: «hola»"
    assert asked.start_before_time == leased.start_before_time
    assert asked.unclear_since_time == leased.unclear_since_time
    assert (report.delivery_id, report.lease_id) == (leased.delivery.id, leased.lease_id)
    assert (report.sent.transport, list(report.sent.kommo_message_ids)) == ("note", ["n-1"])


async def test_given_a_task_when_leased_then_its_details_go_along(peers, running_worker, new_action):
    details = conv.TaskDetails(due_time=DUE, responsible_user_id=7)
    report = await reported(peers, running_worker, new_action(conv.DELIVERY_KIND_TASK, task=details))
    (asked,) = peers.kommo.hand_offs.requests
    assert (asked.task.text, asked.task.due_time, asked.task.responsible_user_id) == ("Cliente: «hola»", DUE, 7)
    assert not asked.HasField("unclear_since_time")
    assert report.sent.transport == "task"


@pytest.mark.parametrize(("fields", "action"), [({"task": conv.TaskDetails(due_time=DUE)}, "task"), ({}, "note")])
async def test_given_a_viewing_when_leased_then_it_is_a_task_or_else_a_note(
    peers, running_worker, new_action, fields, action
):
    report = await reported(peers, running_worker, new_action(conv.DELIVERY_KIND_VIEWING, **fields))
    (asked,) = peers.kommo.hand_offs.requests
    assert asked.WhichOneof("action") == action
    assert getattr(asked, action).text == "Cliente: «hola»"
    assert report.sent.transport == "viewing"


async def test_given_a_lead_update_when_leased_then_its_changes_go_along(peers, running_worker, new_action):
    changes = conv.LeadChanges(responsible_user_id=7, pipeline_id=3, status_id=4, tags=["bot"])
    report = await reported(peers, running_worker, new_action(conv.DELIVERY_KIND_LEAD_UPDATE, lead_changes=changes))
    update = peers.kommo.hand_offs.requests[0].lead_update
    assert (update.responsible_user_id, update.pipeline_id, update.status_id) == (7, 3, 4)
    assert list(update.tags) == ["bot"]
    assert report.sent.transport == "lead_update"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_SKIPPED, reason="no_lead"), "skipped", "no_lead"),
        (kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_SKIPPED), "skipped", "skipped"),
        (
            kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_TELL_PERSON, reason="no_entity"),
            "failed",
            "no_entity",
        ),
        (kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_RETRY_LATER), "retry", "later"),
        (kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_UNCLEAR), "retry", "unclear"),
        (kommo_pb.HandOffResponse(), "retry", "unclear"),
        (failing("UNAVAILABLE"), "retry", "unavailable"),
        (failing("UNIMPLEMENTED"), "retry", "unimplemented"),
        (failing("INVALID_ARGUMENT", "INVALID_FIELD"), "failed", "invalid_field"),
    ],
)
async def test_given_an_answer_of_kommo_service_when_handed_off_then_reported(
    peers, running_worker, new_action, answer, kind, reason
):
    peers.kommo.hand_offs.usual = answer
    report = await reported(peers, running_worker, new_action())
    assert report.WhichOneof("report") == kind
    assert getattr(report, kind).reason == reason
    if kind == "retry":
        assert report.retry.is_unclear == (reason in ("unclear", "unavailable"))


async def test_given_a_time_to_wait_when_handed_off_then_carried_over(peers, running_worker, new_action):
    peers.kommo.hand_offs.usual = kommo_pb.HandOffResponse(
        outcome=kommo_pb.SEND_OUTCOME_RETRY_LATER, retry_after=from_seconds(7), reason="rate_limited"
    )
    report = await reported(peers, running_worker, new_action())
    assert (report.retry.reason, report.retry.retry_after.seconds) == ("rate_limited", 7)
