"""TurnService over the wire, on both databases."""

import asyncio
from uuid import uuid4

import pytest
from support.conversation_mesh import Mesh, answer, refused, seconds, sent

from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh.intent.v1 import analysis_pb2
from kommomesh_runtime.errors import RemoteError

NOTICE = turn_pb.EscalateDecision(
    reason_code="human_request",
    reason="pide una persona",
    priority=common_pb.PRIORITY_HIGH,
    notice_parts=["Te responde una persona."],
)
NO_ANSWER = turn_pb.NoAnswerDecision(reason_code="thanks_only")


async def test_given_a_burst_when_leased_after_the_quiet_then_one_turn_has_read_it_all(mesh: Mesh):
    await mesh.client_writes("hola")
    await mesh.client_writes("tenés", "velas?")
    assert await mesh.lease_turns() == []
    leased = await mesh.lease_turn()
    assert [message.content for message in leased.messages] == ["hola", "tenés", "velas?"]
    assert (leased.attempt, leased.escalate_only) == (1, False)
    assert leased.conversation.contact_name == "Ana"
    assert leased.waiting_since_time == leased.messages[0].ingest_time
    assert list(leased.history) == []


async def test_given_two_workers_when_they_lease_at_once_then_no_conversation_is_held_twice(mesh: Mesh):
    for number in range(12):
        await mesh.client_writes("hola", chat=f"chat-{number}")
    mesh.clock.advance(3)
    leases = await asyncio.gather(*(mesh.lease_turns(5, worker=f"worker-{number}") for number in range(6)))
    leases.append(await mesh.lease_turns(20))
    held = [turn.conversation.id for turns in leases for turn in turns]
    assert len(held) == len(set(held)) == 12


async def test_given_an_expired_lease_when_leased_again_then_the_old_holder_is_fenced_off(mesh: Mesh):
    await mesh.client_writes("hola")
    first = await mesh.lease_turn()
    mesh.clock.advance(41)
    second = await mesh.lease_turn(worker="worker-2")
    assert second.turn_id != first.turn_id
    assert second.attempt == 2
    lost = ("FAILED_PRECONDITION", "TURN_LEASE_LOST")
    assert await refused(mesh.complete(first, answer=answer("tarde"))) == lost
    assert await refused(mesh.turns.ExtendTurn(turn_pb.ExtendTurnRequest(turn_id=first.turn_id))) == lost
    assert await refused(mesh.turns.AbandonTurn(turn_pb.AbandonTurnRequest(turn_id=first.turn_id))) == lost
    assert (await mesh.complete(second, answer=answer("a tiempo"))).result == pb.TURN_RESULT_ANSWERED
    assert [leased.delivery.text for leased in await mesh.lease_deliveries()] == ["a tiempo"]


async def test_given_an_expired_lease_nobody_took_when_completed_then_the_work_is_not_thrown_away(mesh: Mesh):
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    mesh.clock.advance(60)
    assert (await mesh.complete(leased, answer=answer("buenas"))).result == pb.TURN_RESULT_ANSWERED
    assert await mesh.lease_turns() == []


async def test_given_an_extended_turn_when_the_first_lease_ends_then_it_is_still_held(mesh: Mesh):
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    mesh.clock.advance(30)
    extended = await mesh.turns.ExtendTurn(turn_pb.ExtendTurnRequest(turn_id=leased.turn_id))
    assert extended.lease_expire_time.ToNanoseconds() > leased.lease_expire_time.ToNanoseconds()
    mesh.clock.advance(30)
    assert await mesh.lease_turns() == []
    assert (await mesh.complete(leased, answer=answer("buenas"))).result == pb.TURN_RESULT_ANSWERED


async def test_given_a_completed_turn_when_completed_again_then_the_stored_result_comes_and_nothing_else(mesh: Mesh):
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    first = await mesh.complete(leased, worker="worker-1", answer=answer("buenas"))
    again = await asyncio.gather(
        *(mesh.complete(leased, worker="worker-1", answer=answer("otra cosa")) for _ in range(5))
    )
    assert [len(first.deliveries), *(len(one.deliveries) for one in again)] == [1, 0, 0, 0, 0, 0]
    assert {one.result for one in again} == {pb.TURN_RESULT_ANSWERED}
    assert [one.text for one in (await mesh.trace(turn_id=leased.turn_id)).deliveries] == ["buenas"]


async def test_given_one_turn_when_completed_by_many_at_once_then_it_is_answered_once(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    done = await asyncio.gather(*(mesh.complete(leased, worker="w", answer=answer("buenas")) for _ in range(8)))
    assert sum(len(one.deliveries) for one in done) == 1
    (held,) = [delivery for one in done for delivery in one.deliveries]
    await mesh.report(held, sent=sent("k-1"))
    assert await mesh.lease_deliveries() == []
    assert [message.content for message in await mesh.messages(conversation_id)] == ["hola", "buenas"]


async def test_given_newer_messages_when_completed_then_two_answers_go_back_and_the_third_stands(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    results, sizes = [], []
    for text in ("¿precio?", "¿y stock?", "¿y envío?"):
        leased = await mesh.lease_turn()
        sizes.append(len(leased.messages))
        await mesh.client_writes(text)
        results.append((await mesh.complete(leased, answer=answer("respuesta"))).result)
    superseded = pb.TURN_RESULT_SUPERSEDED
    assert (results, sizes) == ([superseded, superseded, pb.TURN_RESULT_ANSWERED], [1, 2, 3])
    assert [leased.delivery.text for leased in await mesh.lease_deliveries()] == ["respuesta"]
    last = await mesh.lease_turn()
    assert [message.content for message in last.messages] == ["¿y envío?"]
    assert last.attempt == 1
    assert [message.content for message in last.history][-1] == "respuesta"
    await mesh.client_writes("dale")
    assert (await mesh.complete(last, no_answer=NO_ANSWER)).result == superseded
    assert await mesh.outcomes(conversation_id) == ["UNSPECIFIED"] * 5


async def test_given_a_superseded_turn_when_the_newer_message_was_quiet_for_long_then_it_is_due_at_once(mesh: Mesh):
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    await mesh.client_writes("¿precio?")
    mesh.clock.advance(5)
    await mesh.complete(leased, answer=answer("respuesta"))
    assert len(await mesh.lease_turns()) == 1


async def test_given_newer_messages_when_escalated_then_it_stands_and_all_go_to_the_person(mesh: Mesh):
    conversation_id = await mesh.client_writes("quiero una persona")
    leased = await mesh.lease_turn()
    await mesh.client_writes("ya")
    done = await mesh.complete(leased, worker="worker-1", escalate=NOTICE)
    assert done.result == pb.TURN_RESULT_ESCALATED
    (notice,) = done.deliveries
    assert notice.delivery.kind == pb.DELIVERY_KIND_NOTICE
    conversation = await mesh.conversation(conversation_id)
    assert conversation.status == pb.CONVERSATION_STATUS_ESCALATED
    assert conversation.floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    assert conversation.floor.number == notice.delivery.floor_number == leased.conversation.floor.number + 1
    assert (conversation.escalation_reason, conversation.escalation_priority) == ("pide una persona", 3)
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"] * 2
    await mesh.client_writes("¿hola?")
    mesh.clock.advance(20)
    assert await mesh.lease_turns() == []
    await mesh.report(notice, sent=sent("k-1"))
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"] * 3


async def test_given_a_reply_in_backoff_when_escalated_then_the_notice_does_not_wait_behind_it(mesh: Mesh):
    await mesh.answered("respuesta vieja")
    await mesh.retry(await mesh.lease_delivery(), after=300)
    conversation_id = await mesh.client_writes("quiero una persona")
    leased = await mesh.lease_turn()
    done = await mesh.complete(leased, worker="worker-1", escalate=NOTICE)
    assert [one.delivery.text for one in done.deliveries] == ["Te responde una persona."]
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"] * 2


async def test_given_no_answer_on_purpose_when_completed_then_the_reason_is_kept(mesh: Mesh):
    conversation_id = await mesh.client_writes("gracias!")
    leased = await mesh.lease_turn()
    assert (await mesh.complete(leased, no_answer=NO_ANSWER)).result == pb.TURN_RESULT_NOT_ANSWERED
    (message,) = await mesh.messages(conversation_id)
    assert (message.outcome, message.outcome_reason) == (pb.MESSAGE_OUTCOME_NOT_ANSWERED, "thanks_only")
    assert message.turn_id == leased.turn_id


async def test_given_a_take_over_when_the_running_turn_completes_then_nothing_leaves(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    await mesh.company_writes("Hola, soy Eva", is_person=True)
    for _ in range(2):
        done = await mesh.complete(leased, worker="worker-1", answer=answer("buenas"))
        assert (done.result, list(done.deliveries)) == (pb.TURN_RESULT_FLOOR_CHANGED, [])
    assert await mesh.lease_deliveries() == []
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"]


async def test_given_take_over_and_give_back_when_the_old_turn_completes_then_the_new_one_is_untouched(mesh: Mesh):
    conversation_id = await mesh.client_writes("hola")
    old = await mesh.lease_turn()
    await mesh.take_over(conversation_id)
    await mesh.release(conversation_id)
    await mesh.client_writes("¿seguís ahí?")
    new = await mesh.lease_turn(worker="worker-2")
    assert [message.content for message in new.messages] == ["¿seguís ahí?"]
    # The episode before the give-back is finished.
    assert list(new.history) == []
    assert await refused(mesh.complete(old, answer=answer("vieja"))) == ("FAILED_PRECONDITION", "TURN_LEASE_LOST")
    assert (await mesh.complete(new, answer=answer("nueva"))).result == pb.TURN_RESULT_ANSWERED


async def test_given_leases_without_outcome_when_leased_a_fourth_time_then_it_may_only_escalate(mesh: Mesh):
    await mesh.client_writes("un mensaje que mata")
    seen = []
    for _ in range(4):
        leased = await mesh.lease_turn()
        seen.append((leased.attempt, leased.escalate_only))
        mesh.clock.advance(41)
    assert seen == [(1, False), (2, False), (3, False), (4, True)]


async def test_given_an_abandoned_turn_when_leased_again_then_it_was_no_attempt(mesh: Mesh):
    await mesh.client_writes("hola")
    for _ in range(5):
        leased = await mesh.lease_turn()
        assert leased.attempt == 1
        request = turn_pb.AbandonTurnRequest(
            turn_id=leased.turn_id, reason="intent_unavailable", retry_after=seconds(30)
        )
        await asyncio.gather(*(mesh.turns.AbandonTurn(request) for _ in range(3)))
        assert await mesh.lease_turns() == []
        mesh.clock.advance(30)
    lost = await refused(mesh.complete(leased, answer=answer("tarde")))
    assert lost == ("FAILED_PRECONDITION", "TURN_LEASE_LOST")
    trace = await mesh.trace(turn_id=leased.turn_id)
    assert (trace.result, trace.reason_code) == (pb.TURN_RESULT_ABANDONED, "intent_unavailable")


async def test_given_waiting_replies_when_a_turn_is_leased_then_its_history_has_them(mesh: Mesh):
    await mesh.answered("parte uno", "parte dos")
    await mesh.client_writes("¿y?")
    leased = await mesh.lease_turn()
    assert [(message.role, message.content) for message in leased.history] == [
        (common_pb.ROLE_USER, "hola"),
        (common_pb.ROLE_ASSISTANT, "parte uno"),
        (common_pb.ROLE_ASSISTANT, "parte dos"),
    ]


async def test_given_a_long_conversation_when_leased_then_the_history_is_its_newest_end(mesh: Mesh):
    for number in range(45):
        await mesh.company_writes(f"aviso {number}")
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    assert [message.content for message in leased.history] == [f"aviso {number}" for number in range(5, 45)]


async def test_given_an_analysis_when_completed_then_messages_carry_it(mesh: Mesh):
    conversation_id = await mesh.client_writes("¿cuánto sale?")
    leased = await mesh.lease_turn()
    analysis = analysis_pb2.Analysis(
        intent=analysis_pb2.INTENT_PRICE_INQUIRY, confidence=0.75, sentiment=analysis_pb2.SENTIMENT_NEUTRAL
    )
    await mesh.complete(leased, answer=answer("$ 100"), analysis=analysis)
    (message,) = await mesh.messages(conversation_id)
    assert (message.intent, message.sentiment, message.confidence_score) == ("price_inquiry", "neutral", 0.75)


async def test_given_a_waiting_worker_when_a_message_falls_due_then_it_gets_the_turn(mesh: Mesh):
    waiting = asyncio.create_task(mesh.lease_turns(wait=20))
    await mesh.client_writes("hola")
    mesh.clock.advance(3)
    async with asyncio.timeout(60):
        assert len(await waiting) == 1


async def test_given_a_waiting_worker_when_the_server_drains_then_it_comes_back_with_nothing(mesh: Mesh):
    waiting = asyncio.gather(mesh.lease_turns(wait=20), mesh.lease_deliveries(wait=20))
    await mesh.client_writes("hola")
    mesh.drain.set()
    async with asyncio.timeout(18):
        assert await waiting == [[], []]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"read": []}, "read_message_ids"),
        ({"read": [str(uuid4())]}, "read_message_ids"),
        ({"read": ["x"]}, "read_message_ids"),
        ({"answer": answer()}, "answer.parts"),
        ({"answer": answer(" ")}, "answer.parts"),
        ({"answer": answer("x" * 4097)}, "answer.parts"),
        ({"answer": answer(*["x"] * 21)}, "answer.parts"),
        ({"answer": None}, "decision"),
        ({"answer": None, "escalate": turn_pb.EscalateDecision()}, "escalate.reason_code"),
        ({"answer": None, "no_answer": turn_pb.NoAnswerDecision()}, "no_answer.reason_code"),
    ],
)
async def test_given_a_wrong_completion_when_sent_then_it_is_refused_and_the_turn_stays_held(mesh: Mesh, change, field):
    await mesh.client_writes("hola")
    leased = await mesh.lease_turn()
    with pytest.raises(RemoteError) as caught:
        await mesh.complete(leased, **({"answer": answer("buenas")} | change))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert field in caught.value.message
    assert (await mesh.complete(leased, answer=answer("buenas"))).result == pb.TURN_RESULT_ANSWERED


async def test_given_unknown_turns_when_asked_for_then_the_contract_names_the_error(mesh: Mesh):
    unknown = str(uuid4())
    complete = turn_pb.CompleteTurnRequest(turn_id=unknown, read_message_ids=[unknown], answer=answer("x"))
    assert await refused(mesh.turns.CompleteTurn(complete)) == ("NOT_FOUND", "TURN_NOT_FOUND")
    abandon = turn_pb.AbandonTurnRequest(turn_id=unknown)
    assert await refused(mesh.turns.AbandonTurn(abandon)) == ("NOT_FOUND", "TURN_NOT_FOUND")
    extend = turn_pb.ExtendTurnRequest(turn_id=unknown)
    assert await refused(mesh.turns.ExtendTurn(extend)) == ("FAILED_PRECONDITION", "TURN_LEASE_LOST")


@pytest.mark.parametrize(
    "request_",
    [
        turn_pb.LeaseTurnsRequest(max_turns=1),
        turn_pb.LeaseTurnsRequest(worker_id="w", max_turns=0),
        turn_pb.LeaseTurnsRequest(worker_id="w", max_turns=65),
        turn_pb.LeaseTurnsRequest(worker_id="w", max_turns=1, wait_duration=seconds(21)),
    ],
)
async def test_given_a_wrong_lease_when_sent_then_it_is_refused(mesh: Mesh, request_):
    assert await refused(mesh.turns.LeaseTurns(request_)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
