"""An account with a relay: the client's words go into Kommo first, the company's to the relay, each once."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from support.conversation_mesh import ACCOUNT_ID, Mesh, running_mesh, sent

from conversation_service.adapters.store import Store
from kommomesh.common.v1 import common_pb2
from kommomesh.conversation.v1 import channel_message_pb2 as channel_pb
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts

CHAT, REF = "wa-5493510000001", "f1197ab8-f71b-5b12-ae75-6f3befb2483d"
ORIGIN = "amo.ext.12345"
MIRROR, RELAY = pb.DELIVERY_KIND_MIRROR, pb.DELIVERY_KIND_RELAY
REPLY, NOTICE = pb.DELIVERY_KIND_REPLY, pb.DELIVERY_KIND_NOTICE
ESCALATED = turn_pb.EscalateDecision(reason_code="complaint", reason="queja", priority=common_pb2.PRIORITY_HIGH)
STORED, DUPLICATE = service_pb.INGEST_OUTCOME_STORED, service_pb.INGEST_OUTCOME_DUPLICATE
MIRRORED, REPLAYED = service_pb.INGEST_OUTCOME_MIRRORED, service_pb.INGEST_OUTCOME_REPLAYED


@pytest.fixture
async def mesh(store: Store, clock: Any) -> AsyncIterator[Mesh]:
    accounts = Accounts.of(Account(id=ACCOUNT_ID, subdomain="test", quiet_seconds=2, requests_per_second=1000))
    async with running_mesh(store, accounts, clock) as running:
        yield running


def from_relay(message_id: str, text: str, *, request_id: str = "", arrival_id: str = "") -> service_pb.IngestItem:
    return service_pb.IngestItem(
        account_id=ACCOUNT_ID,
        chat_id=CHAT,
        contact_name="Elena",
        contact_phone="+5493510000001",
        origin=ORIGIN,
        client_message=service_pb.ClientMessage(kommo_message_id=message_id, text=text, is_from_relay=True),
        relay_request=channel_pb.RelayRequest(
            request_id=request_id or str(uuid4()), arrival_id=arrival_id or str(uuid4())
        ),
    )


def of_kommo(chat_id: str = REF, **event: Any) -> service_pb.IngestItem:
    names = {"talk_id": "71", "contact_id": "8", "lead_id": "9"}
    named = {**names, **event}
    return service_pb.IngestItem(account_id=ACCOUNT_ID, chat_id=chat_id, chat_ref_id=REF, origin=ORIGIN, **named)


def copy_of_client(kommo_id: str) -> service_pb.IngestItem:
    message = service_pb.ClientMessage(kommo_message_id=kommo_id, text="hola", is_mirrored_copy=True)
    return of_kommo(client_message=message)


def person_wrote(kommo_id: str, text: str, chat_id: str = REF) -> service_pb.IngestItem:
    message = service_pb.CompanyMessage(
        kommo_message_id=kommo_id, text=text, author_kind=service_pb.AUTHOR_KIND_PERSON, is_for_relay=True
    )
    return of_kommo(chat_id, company_message=message)


def status(delivery_id: str, value: int, error: str = "") -> service_pb.IngestItem:
    told = channel_pb.MessageStatus(delivery_id=delivery_id, status=value, error=error)
    return service_pb.IngestItem(account_id=ACCOUNT_ID, message_status=told)


def kinds(leased: list[outbox_pb.LeasedDelivery]) -> list[int]:
    return sorted(one.delivery.kind for one in leased)


async def lease_one(mesh: Mesh, kind: int) -> outbox_pb.LeasedDelivery:
    """Lease what is due and return the one of this kind; the others stay held."""
    (found,) = [one for one in await mesh.lease_deliveries() if one.delivery.kind == kind]
    return found


async def client_wrote(mesh: Mesh, text: str = "hola", message_id: str = "relay:wamid-1") -> str:
    """Bring a client's message from the relay into Kommo; return the conversation's id."""
    (result,) = await mesh.ingest(from_relay(message_id, text))
    leased = await lease_one(mesh, MIRROR)
    if not leased.chat_ref_id:
        opened = outbox_pb.OpenedReport(chat_ref_id=REF)
        leased = (await mesh.report(leased, opened=opened, worker="worker-1")).next
    await mesh.report(leased, sent=sent(f"kommo-{message_id}"))
    return result.conversation_id


async def bot_answers(mesh: Mesh, *parts: str) -> outbox_pb.LeasedDelivery:
    """Answer what the client wrote, bring the answer into Kommo, and return it on its way to the relay."""
    turn = await mesh.lease_turn()
    await mesh.complete(turn, answer={"parts": parts or ("buenas",)})
    for number in range(len(parts) or 1):
        reply = await lease_one(mesh, REPLY)
        report = outbox_pb.SentReport(transport="own_channel", kommo_message_ids=[f"bot-{number}"])
        await mesh.report(reply, sent=report)
    return await lease_one(mesh, RELAY)


async def test_given_a_message_of_the_relay_when_answered_then_the_reply_waits_until_kommo_has_the_clients_words(
    mesh: Mesh,
) -> None:
    (result,) = await mesh.ingest(from_relay("relay:wamid-1", "hola"))
    await mesh.complete(await mesh.lease_turn(), answer={"parts": ["buenas"]})
    (first,) = await mesh.lease_deliveries()
    assert (first.delivery.kind, first.chat_ref_id) == (MIRROR, "")
    assert (first.channel_conversation_id, first.contact_phone) == (CHAT, "+5493510000001")
    reported = await mesh.report(first, opened=outbox_pb.OpenedReport(chat_ref_id=REF), worker="worker-1")
    assert (reported.next.delivery.id, reported.next.chat_ref_id) == (first.delivery.id, REF)
    assert reported.next.delivery.attempt_count == 1
    assert await mesh.lease_deliveries() == []
    await mesh.report(reported.next, sent=sent("kommo-1"))
    reply = await mesh.lease_delivery()
    assert (reply.delivery.kind, reply.chat_id) == (REPLY, REF)
    assert await mesh.outcomes(result.conversation_id) == ["UNSPECIFIED"]


async def test_given_the_bots_words_in_kommo_when_the_relay_has_them_then_the_client_counts_as_answered(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    relay = await bot_answers(mesh)
    assert (relay.delivery.text, relay.channel_conversation_id) == ("buenas", CHAT)
    assert list(relay.delivery.channel_message.kommo_message_ids) == ["bot-0"]
    assert not relay.delivery.channel_message.is_person
    assert await mesh.outcomes(conversation_id) == ["UNSPECIFIED"]
    taken = outbox_pb.SentReport(transport="relay", relay_status=channel_pb.RELAY_STATUS_DELIVERED)
    await mesh.report(relay, sent=taken)
    assert await mesh.outcomes(conversation_id) == ["ANSWERED"]
    assert await mesh.lease_deliveries() == []
    trace = await mesh.trace(turn_id=relay.delivery.turn_id)
    proofs = {one.kind: one.proof for one in trace.deliveries}
    assert (proofs[REPLY].state, proofs[REPLY].source) == (pb.PROOF_STATE_DELIVERED, "relay")


async def test_given_copies_by_kommo_when_they_come_then_only_their_ids_are_taken_into_the_relays_conversation(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    (copied,) = await mesh.ingest(copy_of_client("kommo-relay:wamid-1"))
    assert (copied.outcome, copied.conversation_id) == (MIRRORED, conversation_id)
    found = await mesh.conversation(conversation_id)
    assert (found.talk_id, found.contact_id, found.lead_id) == ("71", "8", "9")
    assert (found.chat_id, found.phone, found.user_message_count) == (CHAT, "+5493510000001", 1)


async def test_given_a_person_who_writes_in_kommo_when_both_its_reports_come_then_the_relay_gets_it_once(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    results = await mesh.ingest(person_wrote("k-1", "te atiendo yo"), person_wrote("k-1", "te atiendo yo", CHAT))
    assert [one.outcome for one in results] == [STORED, DUPLICATE]
    assert {one.conversation_id for one in results} == {conversation_id}
    await mesh.ingest(person_wrote("k-1", "te atiendo yo"))
    relay = await mesh.lease_delivery()
    details = relay.delivery.channel_message
    assert (relay.delivery.kind, relay.delivery.text, details.is_person) == (RELAY, "te atiendo yo", True)
    await mesh.report(relay, sent=sent("wamid-out"))
    assert await mesh.lease_deliveries() == []
    assert (await mesh.conversation(conversation_id)).floor.holder == pb.FLOOR_HOLDER_PERSON


async def test_given_the_echo_of_the_bots_words_when_it_comes_as_a_hook_then_nothing_is_relayed_again(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    relay = await bot_answers(mesh)
    await mesh.ingest(person_wrote("bot-0", "buenas"))
    await mesh.report(relay, sent=sent())
    assert await mesh.lease_deliveries() == []
    assert (await mesh.conversation(conversation_id)).floor.holder == pb.FLOOR_HOLDER_BOT


async def test_given_bot_words_not_relayed_yet_when_a_person_takes_the_floor_then_kommo_shows_them_as_failed(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    relay = await bot_answers(mesh)
    await mesh.report(relay, retry=outbox_pb.RetryReport(reason="relay_unreachable"))
    await mesh.ingest(person_wrote("k-1", "ya estoy"))
    mesh.clock.advance(5)
    leased = await mesh.lease_deliveries() + await mesh.lease_deliveries()
    by_kind = {one.delivery.kind: one.delivery for one in leased}
    assert [one.delivery.text for one in leased if one.delivery.kind == RELAY] == ["ya estoy"]
    told = by_kind[MIRROR].channel_message
    assert (told.status, list(told.kommo_message_ids)) == (channel_pb.RELAY_STATUS_FAILED, ["bot-0"])
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"]


async def test_given_a_relay_that_refuses_when_reported_then_a_person_is_called_and_kommo_is_told(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    relay = await bot_answers(mesh)
    dead = await mesh.report(relay, failed=outbox_pb.FailedReport(reason="relay_refused"))
    assert dead.delivery.state == pb.DELIVERY_STATE_DEAD
    assert (await mesh.conversation(conversation_id)).floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    told = await lease_one(mesh, MIRROR)
    assert told.delivery.channel_message.error == "relay_refused"
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"]


@pytest.mark.parametrize(
    ("value", "holder"),
    [
        (channel_pb.RELAY_STATUS_READ, pb.FLOOR_HOLDER_BOT),
        (channel_pb.RELAY_STATUS_FAILED, pb.FLOOR_HOLDER_PERSON_WAITING),
    ],
)
async def test_given_a_status_of_the_relay_when_repeated_then_kommo_is_told_once_and_a_person_only_of_a_failure(
    mesh: Mesh, value: int, holder: int
) -> None:
    conversation_id = await client_wrote(mesh)
    relay = await bot_answers(mesh)
    await mesh.report(relay, sent=sent())
    results = [await mesh.ingest(status(relay.delivery.id, value, "no WhatsApp")) for _ in range(2)]
    assert [one.outcome for (one,) in results] == [STORED, DUPLICATE]
    told = await lease_one(mesh, MIRROR)
    assert (told.delivery.channel_message.status, told.delivery.text) == (value, "")
    assert (await mesh.conversation(conversation_id)).floor.holder == holder
    is_called = holder == pb.FLOOR_HOLDER_PERSON_WAITING
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON" if is_called else "ANSWERED"]
    (unknown,) = await mesh.ingest(status(str(uuid4()), value))
    assert unknown.outcome == service_pb.INGEST_OUTCOME_REJECTED


async def test_given_a_signed_request_when_it_arrives_again_then_it_is_a_replay_but_not_when_the_gateway_repeats_it(
    mesh: Mesh,
) -> None:
    request_id, arrival_id = str(uuid4()), str(uuid4())
    outcomes = []
    for arrival in (arrival_id, arrival_id, str(uuid4())):
        (result,) = await mesh.ingest(from_relay("relay:w", "hola", request_id=request_id, arrival_id=arrival))
        outcomes.append(result.outcome)
    (honest,) = await mesh.ingest(from_relay("relay:w", "hola"))
    assert [*outcomes, honest.outcome] == [STORED, DUPLICATE, REPLAYED, DUPLICATE]


async def test_given_kommo_down_when_it_is_back_then_the_clients_words_come_in_order_however_often_it_failed(
    mesh: Mesh,
) -> None:
    await mesh.ingest(from_relay("relay:a", "uno"), from_relay("relay:b", "dos"))
    for _ in range(14):
        leased = await lease_one(mesh, MIRROR)
        assert leased.delivery.text == "uno"
        await mesh.retry(leased, unclear=True)
        mesh.clock.advance(61)
    first = await lease_one(mesh, MIRROR)
    opened = await mesh.report(first, opened=outbox_pb.OpenedReport(chat_ref_id=REF), worker="worker-1")
    following = (await mesh.report(opened.next, sent=sent("kommo-a"), worker="worker-1")).next
    assert following.delivery.text == "dos"


async def test_given_a_chat_that_kommo_told_of_first_when_the_relays_id_is_known_then_that_conversation_has_it(
    mesh: Mesh,
) -> None:
    talk = service_pb.TalkEvent(kind=service_pb.TALK_EVENT_KIND_OPEN)
    (placeholder,) = await mesh.ingest(of_kommo(talk_event=talk))
    conversation_id = await client_wrote(mesh)
    (person,) = await mesh.ingest(person_wrote("k-1", "hola"))
    assert placeholder.conversation_id != conversation_id
    assert person.conversation_id == conversation_id


async def test_given_a_kommo_that_refuses_the_clients_words_when_reported_then_a_person_is_called(mesh: Mesh) -> None:
    (result,) = await mesh.ingest(from_relay("relay:a", "hola"))
    dead = await mesh.report(await lease_one(mesh, MIRROR), failed=outbox_pb.FailedReport(reason="invalid_text"))
    found = await mesh.conversation(result.conversation_id)
    assert found.floor.holder == pb.FLOOR_HOLDER_PERSON_WAITING
    assert found.escalation_reason == "Lo que escribió el cliente no se pudo mostrar en Kommo (invalid_text)."
    assert await mesh.outcomes(result.conversation_id) == ["HANDED_TO_PERSON"]
    # Nobody hears the bot by it, so that the floor of the person who was called is no obstacle.
    assert (await mesh.replay(dead.delivery.id)).state == pb.DELIVERY_STATE_PENDING
    assert (await lease_one(mesh, MIRROR)).delivery.text == "hola"


async def test_given_a_person_whom_the_hook_took_for_a_bot_when_kommo_names_the_author_then_the_person_has_the_floor(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    hook = person_wrote("k-1", "te atiendo yo", CHAT)
    hook.company_message.author_kind = service_pb.AUTHOR_KIND_BOT
    await mesh.ingest(hook)
    assert (await mesh.conversation(conversation_id)).floor.holder == pb.FLOOR_HOLDER_BOT
    await mesh.ingest(person_wrote("k-1", "te atiendo yo"))
    found = await mesh.conversation(conversation_id)
    assert (found.floor.holder, found.bot_message_count) == (pb.FLOOR_HOLDER_PERSON, 0)
    assert (await mesh.messages(conversation_id))[-1].role == common_pb2.ROLE_AGENT
    assert await mesh.outcomes(conversation_id) == ["HANDED_TO_PERSON"]
    assert len(await mesh.lease_deliveries()) == 1


async def test_given_a_reply_that_kommo_wants_later_when_the_clients_next_words_are_there_then_it_still_waits(
    mesh: Mesh,
) -> None:
    await client_wrote(mesh)
    await mesh.complete(await mesh.lease_turn(), answer={"parts": ["buenas"]})
    await mesh.retry(await lease_one(mesh, REPLY), after=300)
    await client_wrote(mesh, "¿hola?", "relay:wamid-2")
    assert await mesh.lease_deliveries() == []
    mesh.clock.advance(400)
    assert (await lease_one(mesh, REPLY)).delivery.text == "buenas"


async def test_given_a_note_of_an_ended_hand_over_when_a_relayed_answer_is_too_old_then_only_the_new_note_leaves(
    mesh: Mesh,
) -> None:
    conversation_id = await client_wrote(mesh)
    await mesh.complete(await mesh.lease_turn(), escalate=ESCALATED)
    ended = await lease_one(mesh, pb.DELIVERY_KIND_NOTE)
    await mesh.retry(ended, after=3000)
    await mesh.release(conversation_id)
    await client_wrote(mesh, "¿hola?", "relay:wamid-2")
    await mesh.retry(await bot_answers(mesh))
    mesh.clock.advance(4000)
    leased = await mesh.lease_deliveries() + await mesh.lease_deliveries()
    notes = [one.delivery.id for one in leased if one.delivery.kind == pb.DELIVERY_KIND_NOTE]
    assert len(notes) == 1
    assert ended.delivery.id not in notes
