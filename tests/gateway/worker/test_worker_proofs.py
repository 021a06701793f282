"""Looks for messages that Kommo has accepted: asked of kommo-service and reported."""

from datetime import UTC, datetime

import pytest
from support.worker_peers import failing

from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1.outbox_service_pb2 import AwaitedMessage
from kommomesh.kommo.v1 import delivery_proof_pb2 as proof_pb
from kommomesh_runtime.parsing import from_seconds, from_time

SENT_AT = from_time(datetime(2026, 3, 2, 12, tzinfo=UTC))


@pytest.fixture
def new_look(new_delivery):
    def make(**fields):
        leased = new_delivery("", **fields)
        leased.delivery.kind = conv.DELIVERY_KIND_PROOF
        leased.awaited_messages.append(
            AwaitedMessage(
                delivery_id="d-1", transport="talk_message", kommo_message_ids=["k-1"], text="Hola", send_time=SENT_AT
            )
        )
        return leased

    return make


async def reported(peers, running_worker, leased):
    peers.outbox.due.put_nowait(leased)
    async with running_worker():
        (report,) = await peers.outbox.reports.seen(1)
    assert peers.kommo.sends.requests == []
    return report


def proof(**fields) -> proof_pb.GetDeliveryProofResponse:
    return proof_pb.GetDeliveryProofResponse(proofs=[proof_pb.DeliveryProof(delivery_id="d-1", **fields)])


@pytest.mark.parametrize("is_last_look", [False, True])
async def test_given_a_look_when_leased_then_its_messages_are_asked_for_in_their_chat(
    peers, running_worker, new_look, is_last_look
):
    leased = new_look(is_last_look=is_last_look, claimed_kommo_message_ids=["k-0"])
    report = await reported(peers, running_worker, leased)
    (asked,) = peers.kommo.proofs.requests
    assert (asked.account_id, asked.chat_id, asked.talk_id) == ("12345", "chat-1", "77")
    assert (asked.contact_id, asked.origin, asked.search_other_talks) == ("9", "waba", is_last_look)
    assert list(asked.claimed_kommo_message_ids) == ["k-0"]
    (sought,) = asked.messages
    assert (sought.delivery_id, sought.transport, list(sought.kommo_message_ids)) == ("d-1", "talk_message", ["k-1"])
    assert (sought.text, sought.send_time) == ("Hola", SENT_AT)
    assert (report.delivery_id, report.lease_id) == (leased.delivery.id, leased.lease_id)
    (finding,) = report.looked.findings
    assert (finding.delivery_id, finding.state, finding.source) == ("d-1", conv.PROOF_STATE_DELIVERED, "talk")


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (proof(), conv.PROOF_STATE_UNSPECIFIED, ""),
        (proof(status=proof_pb.DELIVERY_STATUS_SENT, source="talk"), conv.PROOF_STATE_ACCEPTED, ""),
        (proof(status=proof_pb.DELIVERY_STATUS_READ, source="talk"), conv.PROOF_STATE_READ, ""),
        (proof(status=proof_pb.DELIVERY_STATUS_ERROR, source="talk"), conv.PROOF_STATE_FAILED, "delivery_error"),
        (
            proof(status=proof_pb.DELIVERY_STATUS_ERROR, source="talk", error_code=904),
            conv.PROOF_STATE_FAILED,
            "delivery_error_904",
        ),
    ],
)
async def test_given_what_the_record_says_when_answered_then_it_is_reported(
    peers, running_worker, new_look, answer, state, reason
):
    peers.kommo.proofs.usual = answer
    (finding,) = (await reported(peers, running_worker, new_look())).looked.findings
    assert (finding.state, finding.reason) == (state, reason)


async def test_given_a_record_that_cannot_be_read_now_when_answered_then_it_is_tried_again(
    peers, running_worker, new_look
):
    peers.kommo.proofs.usual = proof_pb.GetDeliveryProofResponse(
        failure_reason="kommo_unavailable", retry_after=from_seconds(7)
    )
    report = await reported(peers, running_worker, new_look())
    assert (report.retry.reason, report.retry.retry_after.seconds) == ("kommo_unavailable", 7)
    assert report.retry.is_unclear is False


async def test_given_a_record_that_may_not_be_read_when_answered_then_it_is_not_tried_again(
    peers, running_worker, new_look
):
    peers.kommo.proofs.usual = proof_pb.GetDeliveryProofResponse(failure_reason="scope_missing")
    report = await reported(peers, running_worker, new_look())
    assert report.failed.reason == "scope_missing"


async def test_given_the_limit_of_reads_when_refused_then_it_comes_again_after_the_wait(
    peers, running_worker, new_look
):
    peers.kommo.proofs.usual = failing("RESOURCE_EXHAUSTED", "KOMMO_RATE_LIMITED", 1.5)
    report = await reported(peers, running_worker, new_look())
    assert report.retry.reason == "kommo_rate_limited"
