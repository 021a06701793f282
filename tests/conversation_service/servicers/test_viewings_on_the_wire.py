"""Files that a person is asked to look at while the bot goes on, over the wire and on both databases."""

from typing import Any

import pytest
from support.conversation_mesh import ACCOUNT_ID, Mesh, answer, refused, sent

from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

LINK = "https://amojo.kommo.com/v2/1/attachments/2/foto.jpg"
VIEWING = pb.DELIVERY_KIND_VIEWING


@pytest.fixture
def accounts() -> Accounts:
    quiet = {"person_reminder_after_seconds": 0, "task": False}
    return Accounts.of(
        Account(id=ACCOUNT_ID, subdomain="test", requests_per_second=1000),
        Account(id="notes", subdomain="n", requests_per_second=1000, handoff=HandoffSettings(**quiet)),
        Account(id="none", subdomain="x", requests_per_second=1000, handoff=HandoffSettings(**quiet, note=False)),
    )


async def client_sends(mesh: Mesh, message_id: str = "m-1", account: str = ACCOUNT_ID, **content: Any):
    content = {"content_type": common.CONTENT_TYPE_PICTURE, **content}
    message = service_pb.ClientMessage(kommo_message_id=message_id, **content)
    (result,) = await mesh.ingest(
        service_pb.IngestItem(account_id=account, chat_id="chat-1", talk_id="7", client_message=message)
    )
    return result


async def shown(mesh: Mesh, account: str = ACCOUNT_ID) -> turn_pb.LeasedTurn:
    """Answer a picture with words, and ask that a person looks at it."""
    await client_sends(mesh, account=account, text="¿tienen este?", media_url=LINK, file_name="foto.jpg")
    turn = await mesh.lease_turn()
    (message,) = turn.messages
    finding = turn_pb.MediaFinding(message_id=message.id, media_type="image/jpeg", size_bytes=80_000)
    request = turn_pb.CompleteTurnRequest(
        turn_id=turn.turn_id,
        read_message_ids=[message.id],
        answer=answer("Sí, tenemos.", shown_message_ids=[message.id]),
        media=[finding],
    )
    for _ in range(2):
        assert (await mesh.turns.CompleteTurn(request)).result == pb.TURN_RESULT_ANSWERED
    return turn


async def leased(mesh: Mesh) -> dict[int, outbox_pb.LeasedDelivery]:
    found = await mesh.lease_deliveries()
    assert len({one.delivery.kind for one in found}) == len(found)
    return {one.delivery.kind: one for one in found}


async def test_given_shown_picture_when_leased_then_one_task_beside_the_reply_and_bot_keeps_the_floor(mesh: Mesh):
    turn = await shown(mesh)
    found = await leased(mesh)
    assert set(found) == {pb.DELIVERY_KIND_REPLY, VIEWING}
    viewing = found[VIEWING].delivery
    assert f"imagen foto.jpg (image/jpeg, 80 kB) {LINK}. Escribió: «¿tienen este?»" in viewing.text
    assert (viewing.turn_id, viewing.task.priority) == (turn.turn_id, common.PRIORITY_MEDIUM)
    await mesh.report(found[pb.DELIVERY_KIND_REPLY], sent=sent("k-1"))
    (message, _) = sorted(await mesh.messages(turn.conversation.id), key=lambda one: one.role != common.ROLE_USER)
    assert (message.outcome, message.media_size_bytes) == (pb.MESSAGE_OUTCOME_ANSWERED, 80_000)
    assert (await mesh.conversation(turn.conversation.id)).floor.holder == pb.FLOOR_HOLDER_BOT
    await mesh.report(found[VIEWING], sent=sent("t-1"))
    assert VIEWING not in await leased(mesh)


@pytest.mark.parametrize("is_called", [False, True])
async def test_given_viewing_that_waits_when_a_person_takes_over_or_is_called_then_it_still_leaves(
    mesh: Mesh, is_called: bool
):
    turn = await shown(mesh)
    if is_called:
        await client_sends(mesh, "m-2", text="quiero una persona")
        await mesh.complete(await mesh.lease_turn(), escalate=turn_pb.EscalateDecision(reason_code="human_request"))
    else:
        await mesh.take_over(turn.conversation.id)
    assert VIEWING in await leased(mesh)


@pytest.mark.parametrize(("account", "kinds"), [("notes", {VIEWING}), ("none", set())])
async def test_given_account_without_tasks_when_shown_then_note_or_nothing(mesh: Mesh, account: str, kinds: set[int]):
    await shown(mesh, account)
    found = await leased(mesh)
    assert set(found) - {pb.DELIVERY_KIND_REPLY} == kinds
    assert not any(one.delivery.HasField("task") for one in found.values())


async def test_given_viewing_that_cannot_be_written_when_reported_then_a_person_is_called(mesh: Mesh):
    turn = await shown(mesh)
    await mesh.fail((await leased(mesh))[VIEWING])
    found = await mesh.conversation(turn.conversation.id)
    assert (found.floor.holder, found.floor.is_failure) == (pb.FLOOR_HOLDER_PERSON_WAITING, True)
    assert found.escalation_reason.startswith("No se pudo crear la tarea")


async def test_given_words_that_come_late_when_the_turn_is_completed_then_superseded_and_read_again(mesh: Mesh, clock):
    await client_sends(mesh, content_type=common.CONTENT_TYPE_OTHER)
    clock.advance(60)
    turn = await mesh.lease_turn()
    clock.advance(1)
    assert (await client_sends(mesh, text="¿abren?")).outcome == service_pb.INGEST_OUTCOME_STORED
    completed = await mesh.complete(turn, answer=answer("No lo pude leer."))
    assert completed.result == pb.TURN_RESULT_SUPERSEDED
    clock.advance(60)
    again = await mesh.lease_turn()
    assert [message.content for message in again.messages] == ["¿abren?"]


async def test_given_bad_ids_when_completed_then_refused_by_name_and_ids_of_others_ignored(mesh: Mesh):
    await client_sends(mesh, text="hola")
    turn = await mesh.lease_turn()
    shown_ids = answer("Hola", shown_message_ids=["x"])
    assert await refused(mesh.complete(turn, answer=shown_ids)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    await mesh.complete(turn, answer=answer("Hola", shown_message_ids=[turn.turn_id]))
    assert set(await leased(mesh)) == {pb.DELIVERY_KIND_REPLY}
