"""Kommo's echo of what we sent is proof, and no second message."""

from support.conversation_mesh import Mesh, sent

from kommomesh.conversation.v1 import conversation_pb2 as pb


async def test_given_an_echo_before_the_report_when_both_come_then_there_is_one_message(mesh: Mesh):
    turn = await mesh.answered("Buenas tardes", "¿En qué ayudo?")
    leased = await mesh.lease_delivery()
    await mesh.company_writes("Buenas  tardes\n", "k-1")
    assert await mesh.bot_said(turn.conversation.id) == ["Buenas tardes"]
    # The second bubble is free although the report has not come.
    reported = await mesh.report(leased, worker="worker-1", sent=sent("k-1"))
    assert list(reported.delivery.kommo_message_ids) == ["k-1"]
    assert reported.next.delivery.text == "¿En qué ayudo?"
    await mesh.report(reported.next, sent=sent("k-2"))
    await mesh.company_writes("¿En qué ayudo?", "k-2")
    assert await mesh.bot_said(turn.conversation.id) == ["Buenas tardes", "¿En qué ayudo?"]
    conversation = await mesh.conversation(turn.conversation.id)
    assert (conversation.message_count, conversation.bot_message_count) == (3, 2)
    assert conversation.floor.holder == pb.FLOOR_HOLDER_BOT
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_an_echo_of_an_unclear_attempt_when_it_comes_then_nothing_is_sent_again(mesh: Mesh):
    turn = await mesh.answered("Buenas")
    await mesh.retry(await mesh.lease_delivery(), unclear=True)
    await mesh.company_writes("Buenas", "k-1")
    mesh.clock.advance(100)
    assert await mesh.lease_deliveries() == []
    (delivery,) = (await mesh.trace(turn_id=turn.turn_id)).deliveries
    assert (delivery.state, list(delivery.kommo_message_ids)) == (pb.DELIVERY_STATE_SENT, ["k-1"])
    assert await mesh.outcomes(turn.conversation.id) == ["ANSWERED"]


async def test_given_another_bot_when_it_says_the_same_before_any_attempt_then_it_is_not_ours(mesh: Mesh):
    turn = await mesh.answered("Buenas")
    await mesh.company_writes("Buenas", "other-bot")
    leased = await mesh.lease_delivery()
    await mesh.report(leased, sent=sent("k-1"))
    assert await mesh.bot_said(turn.conversation.id) == ["Buenas", "Buenas"]


async def test_given_a_report_whose_message_kommo_told_before_when_stored_then_the_copy_becomes_it(mesh: Mesh):
    turn = await mesh.answered("Buenas, te cuento")
    leased = await mesh.lease_delivery()
    # The channel changed the words, so that the echo was not known as ours.
    await mesh.company_writes("Buenas, te cuento algo", "k-1")
    await mesh.report(leased, sent=sent("k-1"))
    messages = await mesh.messages(turn.conversation.id)
    assert [message.turn_id for message in messages] == [turn.turn_id, turn.turn_id]
    conversation = await mesh.conversation(turn.conversation.id)
    assert (conversation.message_count, conversation.bot_message_count) == (2, 1)


async def test_given_an_echo_that_names_a_person_when_it_overtakes_the_report_then_nobody_takes_the_floor(mesh: Mesh):
    turn = await mesh.answered("Buenas")
    leased = await mesh.lease_delivery()
    await mesh.company_writes("Buenas", "k-1", is_person=True)
    await mesh.report(leased, sent=sent("k-1"))
    conversation = await mesh.conversation(turn.conversation.id)
    assert conversation.floor.holder == pb.FLOOR_HOLDER_BOT
    assert await mesh.bot_said(turn.conversation.id) == ["Buenas"]
    await mesh.company_writes("Buenas, soy Paula", "k-2", is_person=True)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_PERSON


async def test_given_a_piece_of_a_long_reply_when_it_names_a_person_then_nobody_takes_the_floor_and_nothing_is_proved(
    mesh: Mesh,
):
    long = "Abrimos de lunes a viernes de 9.30 a 20. Los sábados abrimos de 9.30 a 13.30, y los domingos no."
    turn = await mesh.answered(long)
    leased = await mesh.lease_delivery()
    await mesh.company_writes("Abrimos de lunes a viernes de 9.30 a 20.", "k-1", is_person=True)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT
    assert await mesh.bot_said(turn.conversation.id) == []
    await mesh.report(leased, sent=sent("k-1", "k-2"))
    await mesh.company_writes("Los sábados abrimos de 9.30 a 13.30, y los domingos no.", "k-2", is_person=True)
    assert await mesh.bot_said(turn.conversation.id) == [long]
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT
