"""The proof of messages that Kommo has accepted: looked for, shown, and a person told where it fails."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.conversation_mesh import ACCOUNT_ID, Mesh, refused, running_mesh, sent

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

NOTES = HandoffSettings(task=False, person_reminder_after_seconds=0)
PROOF = pb.DELIVERY_KIND_PROOF
DELIVERED = pb.PROOF_STATE_DELIVERED
FAILED = pb.PROOF_STATE_FAILED
ACCEPTED = pb.PROOF_STATE_ACCEPTED


@pytest.fixture
def accounts() -> Accounts:
    return Accounts.of(Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1000, handoff=NOTES))


@pytest.fixture
async def mesh(store, clock, accounts) -> AsyncIterator[Mesh]:
    async with running_mesh(store, accounts, clock, proof={}) as running:
        yield running


async def said(mesh: Mesh, *parts: str, transport: str = "talk_message", kommo_id: str = "k-1", chat: str = "chat-1"):
    """Let a reply be accepted by Kommo; return its turn."""
    turn = await mesh.answered(*(parts or ("Buenas",)), chat=chat)
    for number in range(max(1, len(parts))):
        leased = await mesh.lease_delivery()
        ids = [f"{kommo_id}-{number}" if number else kommo_id] if kommo_id else []
        await mesh.report(leased, sent=outbox_pb.SentReport(transport=transport, kommo_message_ids=ids))
    return turn


async def look(mesh: Mesh, after: float) -> outbox_pb.LeasedDelivery:
    """Let time pass and lease the look that is then due."""
    mesh.clock.advance(after)
    leased = await mesh.lease_delivery()
    assert leased.delivery.kind == PROOF
    return leased


async def found(mesh: Mesh, leased: outbox_pb.LeasedDelivery, *states: int, **fields: Any) -> pb.Delivery:
    """Report what a look showed of its messages, in their order."""
    findings = [
        outbox_pb.ProofFinding(delivery_id=one.delivery_id, state=state, source="talk" if state else "", **fields)
        for one, state in zip(leased.awaited_messages, states, strict=True)
    ]
    report = outbox_pb.LookedReport(findings=findings)
    return (await mesh.report(leased, looked=report)).delivery


async def proofs(mesh: Mesh, turn: Any) -> list[pb.Proof]:
    trace = await mesh.trace(turn_id=turn.turn_id)
    return [one.proof for one in trace.deliveries if one.kind == pb.DELIVERY_KIND_REPLY]


async def test_given_an_accepted_reply_when_looked_for_then_it_is_delivered_and_shown(mesh: Mesh):
    turn = await said(mesh, "Buenas", "¿Algo más?")
    assert await mesh.lease_deliveries() == []
    assert [one.state for one in await proofs(mesh, turn)] == [ACCEPTED, ACCEPTED]
    leased = await look(mesh, 10)
    assert [one.text for one in leased.awaited_messages] == ["Buenas", "¿Algo más?"]
    assert list(leased.awaited_messages[0].kommo_message_ids) == ["k-1"]
    assert leased.talk_id == "71"
    assert leased.is_last_look is False
    ended = await found(mesh, leased, DELIVERED, pb.PROOF_STATE_READ)
    assert ended.state == pb.DELIVERY_STATE_SENT
    first, second = await proofs(mesh, turn)
    assert (first.state, first.source, second.state) == (DELIVERED, "talk", pb.PROOF_STATE_READ)
    assert first.HasField("prove_time")
    listed = [one.proof.state for one in await mesh.messages(turn.conversation.id)]
    assert listed == [pb.PROOF_STATE_UNSPECIFIED, DELIVERED, pb.PROOF_STATE_READ]
    mesh.clock.advance(100)
    assert await mesh.lease_deliveries() == []
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_a_message_that_was_proved_when_the_next_is_looked_for_then_its_id_is_known_to_be_another(
    mesh: Mesh,
):
    await said(mesh, kommo_id="k-1")
    await found(mesh, await look(mesh, 10), DELIVERED)
    await said(mesh, kommo_id="k-2")
    leased = await look(mesh, 10)
    assert [list(one.kommo_message_ids) for one in leased.awaited_messages] == [["k-2"]]
    assert "k-1" in leased.claimed_kommo_message_ids


async def test_given_a_message_under_way_when_looked_for_then_looks_go_on_and_the_last_one_decides(mesh: Mesh):
    turn = await said(mesh)
    assert (await found(mesh, await look(mesh, 10), ACCEPTED)).state == pb.DELIVERY_STATE_PENDING
    assert await mesh.lease_deliveries() == []
    await found(mesh, await look(mesh, 15), ACCEPTED)
    last = await look(mesh, 30)
    assert last.is_last_look is True
    await found(mesh, last, ACCEPTED)
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.source, proof.reason) == (ACCEPTED, "talk", "still_sent")
    mesh.clock.advance(100)
    assert await mesh.lease_deliveries() == []
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_a_reply_that_ends_in_an_error_when_looked_for_then_a_person_is_told_and_nothing_is_sent(
    mesh: Mesh,
):
    turn = await said(mesh)
    await found(mesh, await look(mesh, 10), FAILED, reason="delivery_error")
    conversation = await mesh.conversation(turn.conversation.id)
    assert conversation.floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    assert conversation.escalation_priority == common.PRIORITY_HIGH
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    (note,) = await mesh.lease_deliveries()
    assert note.delivery.kind == pb.DELIVERY_KIND_NOTE
    assert "«Buenas» (no se pudo entregar)" in note.delivery.text
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.reason) == (FAILED, "delivery_error")


async def test_given_no_sign_of_a_reply_when_the_last_look_is_over_then_a_person_is_told(mesh: Mesh):
    turn = await said(mesh)
    for seconds in (10, 15):
        await found(mesh, await look(mesh, seconds), 0)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT
    await found(mesh, await look(mesh, 30), 0)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.reason) == (FAILED, "no_proof")
    await mesh.company_writes("Buenas", "k-1")
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.source, proof.reason) == (FAILED, "webhook", "no_proof")
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]


async def test_given_an_echo_when_nothing_else_is_seen_then_the_thread_has_it_and_nobody_is_told(mesh: Mesh):
    turn = await said(mesh)
    await mesh.company_writes("Buenas", "k-1")
    assert [one.source for one in await proofs(mesh, turn)] == ["webhook"]
    for seconds in (10, 15, 30):
        await found(mesh, await look(mesh, seconds), 0)
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.source, proof.reason) == (ACCEPTED, "webhook", "")
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT


async def test_given_a_salesbots_message_when_its_echo_came_then_nothing_is_read(mesh: Mesh):
    turn = await said(mesh, transport="salesbot_field", kommo_id="")
    await mesh.company_writes("Buenas", "k-9")
    assert await mesh.bot_said(turn.conversation.id) == ["Buenas"]
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.source, proof.HasField("prove_time")) == (ACCEPTED, "webhook", True)
    mesh.clock.advance(60)
    assert await mesh.lease_deliveries() == []


async def test_given_a_salesbots_echo_that_overtakes_its_report_when_both_came_then_nothing_is_read(mesh: Mesh):
    turn = await mesh.answered("Buenas")
    leased = await mesh.lease_delivery()
    await mesh.company_writes("Buenas", "k-9")
    await mesh.report(leased, sent=outbox_pb.SentReport(transport="salesbot_return"))
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.source, proof.HasField("prove_time")) == (ACCEPTED, "webhook", True)
    mesh.clock.advance(60)
    assert await mesh.lease_deliveries() == []


async def test_given_an_echo_that_overtakes_the_report_when_both_came_then_the_message_is_looked_for_once(mesh: Mesh):
    turn = await mesh.answered("Buenas")
    leased = await mesh.lease_delivery()
    await mesh.company_writes("Buenas", "k-1")
    await mesh.report(leased, sent=sent("k-1"))
    first = await look(mesh, 10)
    assert [one.transport for one in first.awaited_messages] == ["talk_message"]
    await found(mesh, first, DELIVERED)
    assert [one.state for one in await proofs(mesh, turn)] == [DELIVERED]


async def test_given_the_own_channel_when_it_took_a_reply_then_nothing_is_looked_for(mesh: Mesh):
    turn = await said(mesh, transport="own_channel")
    assert [one.state for one in await proofs(mesh, turn)] == [ACCEPTED]
    mesh.clock.advance(60)
    assert [one.delivery.kind for one in await mesh.lease_deliveries() if one.delivery.kind == PROOF] == []


async def test_given_kommo_down_when_looks_fail_for_long_then_it_stays_accepted_and_nobody_is_told(mesh: Mesh):
    turn = await said(mesh)
    leased = await look(mesh, 10)
    await mesh.retry(leased)
    assert [one.state for one in await proofs(mesh, turn)] == [ACCEPTED]
    await mesh.retry(await look(mesh, 100))
    await mesh.retry(await look(mesh, 800))
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.reason, proof.HasField("prove_time")) == (ACCEPTED, "kommo_unavailable", True)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT
    mesh.clock.advance(100)
    assert await mesh.lease_deliveries() == []


async def test_given_a_record_that_may_not_be_read_when_refused_then_no_more_looks_are_made(mesh: Mesh):
    turn = await said(mesh)
    await mesh.report(await look(mesh, 10), failed=outbox_pb.FailedReport(reason="scope_missing"))
    (proof,) = await proofs(mesh, turn)
    assert (proof.state, proof.reason) == (ACCEPTED, "scope_missing")
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_a_worker_that_died_when_its_lease_has_ended_then_the_next_look_decides_once(mesh: Mesh):
    turn = await said(mesh)
    lost = await look(mesh, 10)
    again = await look(mesh, 31)
    assert await refused(found(mesh, lost, FAILED, reason="delivery_error")) == (
        "FAILED_PRECONDITION",
        "DELIVERY_LEASE_LOST",
    )
    assert [one.state for one in await proofs(mesh, turn)] == [ACCEPTED]
    await found(mesh, again, DELIVERED)
    await found(mesh, again, DELIVERED)
    assert [one.state for one in await proofs(mesh, turn)] == [DELIVERED]


async def test_given_a_later_reply_when_looked_for_then_one_look_tells_of_both_and_starts_anew(mesh: Mesh):
    turn = await said(mesh)
    await found(mesh, await look(mesh, 10), ACCEPTED)
    second = await said(mesh, "Claro", kommo_id="k-2")
    both = await look(mesh, 12)
    assert [one.text for one in both.awaited_messages] == ["Buenas", "Claro"]
    await found(mesh, both, DELIVERED, 0)
    (left,) = (await look(mesh, 15)).awaited_messages
    assert left.text == "Claro"
    assert [one.state for one in await proofs(mesh, turn)] == [DELIVERED]
    assert [one.state for one in await proofs(mesh, second)] == [ACCEPTED]


async def test_given_a_person_with_the_floor_when_a_reply_did_not_arrive_then_it_is_noted_all_the_same(mesh: Mesh):
    turn = await said(mesh)
    await mesh.take_over(turn.conversation.id)
    await found(mesh, await look(mesh, 10), FAILED, reason="delivery_error")
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_PERSON
    assert await mesh.outcomes(turn.conversation.id) == ["HANDED_TO_PERSON"]
    assert [one.state for one in await proofs(mesh, turn)] == [FAILED]
