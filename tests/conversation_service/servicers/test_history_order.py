"""The history is in the order in which things were said, although Kommo tells whole seconds."""

from google.protobuf.timestamp_pb2 import Timestamp
from support.conversation_mesh import ACCOUNT_ID, Mesh, answer, sent

from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb


async def _writes_at(mesh: Mesh, kommo_id: str, text: str, at: Timestamp) -> None:
    message = service_pb.ClientMessage(kommo_message_id=kommo_id, text=text, create_time=at)
    await mesh.ingest(service_pb.IngestItem(account_id=ACCOUNT_ID, chat_id="chat-1", client_message=message))


async def test_given_a_question_in_the_second_of_the_reply_when_leased_later_then_it_comes_after_the_reply(mesh: Mesh):
    turn = await mesh.answered("Abrimos a las 9.", text="¿a qué hora abren?")
    await mesh.report(await mesh.lease_delivery(), sent=sent("k-1"))
    (reply,) = [one for one in await mesh.messages(turn.conversation.id) if one.role == 2]
    same_second = Timestamp(seconds=reply.create_time.seconds)
    await _writes_at(mesh, "q-2", "¿y los sábados?", same_second)
    await _writes_at(mesh, "q-3", "¿y los domingos?", same_second)
    second = await mesh.lease_turn()
    assert [message.content for message in second.messages] == ["¿y los sábados?", "¿y los domingos?"]
    await mesh.complete(second, answer=answer("De 10 a 14."))
    await mesh.report(await mesh.lease_delivery(), sent=sent("k-2"))
    await mesh.client_writes("gracias")
    third = await mesh.lease_turn()
    assert [message.content for message in third.history] == [
        "¿a qué hora abren?",
        "Abrimos a las 9.",
        "¿y los sábados?",
        "¿y los domingos?",
        "De 10 a 14.",
    ]
