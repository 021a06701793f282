"""A turn that has read a part of its messages on purpose: that part ends, the rest comes again by itself."""

from support.conversation_mesh import Mesh, answer

from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb

NOT_IN_KOMMO = turn_pb.NoAnswerDecision(reason_code="not_in_kommo")


async def test_given_a_part_of_a_burst_when_answered_then_it_stands_and_the_rest_is_a_turn_of_its_own(mesh: Mesh):
    conversation_id = await mesh.client_writes("forjado", "¿precio?")
    leased = await mesh.lease_turn()
    done = await mesh.complete(leased, answer=answer("sale $10"), read=[leased.messages[1].id])

    assert done.result == pb.TURN_RESULT_ANSWERED
    rest = await mesh.lease_turn()
    assert [message.content for message in rest.messages] == ["forjado"]
    done = await mesh.complete(rest, no_answer=NOT_IN_KOMMO)
    assert done.result == pb.TURN_RESULT_NOT_ANSWERED
    assert await mesh.lease_turns() == []
    forged = next(one for one in await mesh.messages(conversation_id) if one.content == "forjado")
    assert (forged.outcome, forged.outcome_reason) == (pb.MESSAGE_OUTCOME_NOT_ANSWERED, "not_in_kommo")


async def test_given_a_newcomer_beside_a_part_that_was_left_when_answered_then_the_answer_goes_back(mesh: Mesh):
    await mesh.client_writes("forjado", "¿precio?")
    leased = await mesh.lease_turn()
    await mesh.client_writes("¿y envío?")
    done = await mesh.complete(leased, answer=answer("sale $10"), read=[leased.messages[1].id])

    assert done.result == pb.TURN_RESULT_SUPERSEDED
    again = await mesh.lease_turn()
    assert [message.content for message in again.messages] == ["forjado", "¿precio?", "¿y envío?"]
