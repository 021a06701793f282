"""ConversationService over the wire, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from support.kommo_items import ACCOUNT, client_item, company_item, talk_item

from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.errors import RemoteError

STORED = service_pb.INGEST_OUTCOME_STORED
DUPLICATE = service_pb.INGEST_OUTCOME_DUPLICATE
REJECTED = service_pb.INGEST_OUTCOME_REJECTED
ACCOUNT_UNKNOWN = service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN
HANDED = pb.MESSAGE_OUTCOME_HANDED_TO_PERSON
SEEN = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


async def _ingest(stub: Any, *items: service_pb.IngestItem) -> list[service_pb.IngestResult]:
    response = await stub.IngestMessages(service_pb.IngestMessagesRequest(items=items))
    return list(response.results)


async def _conversation(stub: Any, chat: str = "chat-1") -> pb.Conversation:
    request = service_pb.GetConversationRequest(account_id=ACCOUNT, chat_id=chat)
    conversation: pb.Conversation = (await stub.GetConversation(request)).conversation
    return conversation


async def _messages(stub: Any, chat: str = "chat-1") -> list[pb.Message]:
    found = await _conversation(stub, chat)
    response = await stub.ListMessages(service_pb.ListMessagesRequest(conversation_id=found.id))
    return list(response.messages)


def _verb(kind: Any, conversation: pb.Conversation, **fields: Any) -> Any:
    return kind(conversation_id=conversation.id, **({"request_id": str(uuid4())} | fields))


async def test_given_a_client_message_when_ingested_then_it_is_stored_with_all_that_it_says(stub: Any) -> None:
    [result] = await _ingest(stub, client_item("m1", text="¿Tienen ollas? 🍲", at=SEEN))
    found = await _conversation(stub)
    [message] = await _messages(stub)
    assert (result.outcome, result.conversation_id) == (STORED, found.id)
    assert (found.contact_name, found.origin, found.channel) == ("Cliente", "waba", common_pb.CHANNEL_WHATSAPP)
    assert (found.status, found.floor.holder, found.floor.number) == (
        pb.CONVERSATION_STATUS_ACTIVE,
        pb.FLOOR_HOLDER_BOT,
        1,
    )
    assert (found.message_count, found.user_message_count, found.unread_count) == (1, 1, 1)
    assert found.last_message_time.ToDatetime(tzinfo=UTC) == SEEN
    assert (message.content, message.kommo_message_id, message.role) == ("¿Tienen ollas? 🍲", "m1", common_pb.ROLE_USER)
    assert message.create_time.ToDatetime(tzinfo=UTC) == SEEN
    assert message.outcome == pb.MESSAGE_OUTCOME_UNSPECIFIED


async def test_given_the_same_message_when_ingested_again_then_nothing_changes(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    before = await _conversation(stub)
    [again] = await _ingest(stub, client_item("m1", text="other words"))
    assert (again.outcome, again.conversation_id) == (DUPLICATE, before.id)
    assert await _conversation(stub) == before


async def test_given_one_message_when_twenty_calls_bring_it_at_once_then_one_stores_it(stub: Any) -> None:
    results = await asyncio.gather(*(_ingest(stub, client_item("m1"), client_item("m2")) for _ in range(20)))
    outcomes = [result.outcome for call in results for result in call]
    assert outcomes.count(STORED) == 2
    assert outcomes.count(DUPLICATE) == 38
    assert (await _conversation(stub)).message_count == 2


async def test_given_bad_items_when_ingested_beside_good_ones_then_each_is_rejected_alone(stub: Any) -> None:
    results = await _ingest(
        stub,
        client_item("good-1"),
        client_item(""),
        client_item("m2", chat=""),
        client_item("m3", account="99999"),
        client_item("m4", chat="c" * 256),
        service_pb.IngestItem(account_id=ACCOUNT, chat_id="chat-1"),
        service_pb.IngestItem(
            account_id=ACCOUNT, chat_id="chat-1", company_message=service_pb.CompanyMessage(kommo_message_id="x")
        ),
        client_item("good-2"),
    )
    assert [result.outcome for result in results] == [
        STORED,
        REJECTED,
        REJECTED,
        ACCOUNT_UNKNOWN,
        *[REJECTED] * 3,
        STORED,
    ]
    assert [result.error.split(":")[0] for result in results[1:7]] == [
        "kommo_message_id",
        "chat_id",
        "account_id",
        "chat_id",
        "event",
        "author_kind",
    ]
    assert not any(result.conversation_id for result in results[1:7])


async def test_given_nul_characters_when_ingested_then_they_are_removed(stub: Any) -> None:
    [result] = await _ingest(stub, client_item("m\x001", text="a\x00b"))
    [message] = await _messages(stub)
    assert result.outcome == STORED
    assert (message.kommo_message_id, message.content) == ("m1", "ab")


async def test_given_a_time_of_the_far_future_when_ingested_then_it_is_now(stub: Any) -> None:
    await _ingest(stub, client_item("m1", at=datetime(2099, 1, 1, tzinfo=UTC)))
    [message] = await _messages(stub)
    assert message.create_time == message.ingest_time


@pytest.mark.parametrize("number", [0, 1001])
async def test_given_no_or_too_many_items_when_ingested_then_the_call_is_invalid(stub: Any, number: int) -> None:
    with pytest.raises(RemoteError) as caught:
        await _ingest(stub, *(client_item(f"m{index}") for index in range(number)))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


async def test_given_a_thousand_items_when_ingested_then_all_are_stored_in_order(stub: Any) -> None:
    results = await _ingest(stub, *(client_item(f"m{index}", chat=f"chat-{index % 7}") for index in range(1000)))
    assert {result.outcome for result in results} == {STORED}
    assert len({result.conversation_id for result in results}) == 7


async def test_given_a_person_who_writes_when_ingested_then_the_person_has_the_floor_and_what_waited(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    await _ingest(stub, client_item("m2"), company_item("p1"), client_item("m3"))
    found = await _conversation(stub)
    outcomes = {message.kommo_message_id: message.outcome for message in await _messages(stub)}
    assert (found.status, found.floor.holder, found.floor.number) == (
        pb.CONVERSATION_STATUS_ESCALATED,
        pb.FLOOR_HOLDER_PERSON,
        2,
    )
    assert (found.assigned_to, found.unread_count) == ("Vendedora", 0)
    assert outcomes == {"m1": HANDED, "m2": HANDED, "m3": HANDED, "p1": pb.MESSAGE_OUTCOME_UNSPECIFIED}


async def test_given_another_bot_when_it_writes_then_the_floor_stays_and_its_words_are_history(stub: Any) -> None:
    await _ingest(stub, client_item("m1"), company_item("b1", is_person=False, text="Menú: 1) …"))
    found = await _conversation(stub)
    roles = {message.kommo_message_id: message.role for message in await _messages(stub)}
    assert (found.floor.holder, found.unread_count) == (pb.FLOOR_HOLDER_BOT, 1)
    assert roles["b1"] == common_pb.ROLE_ASSISTANT


async def test_given_a_closed_talk_when_the_client_writes_again_then_the_conversation_is_active(stub: Any) -> None:
    await _ingest(stub, client_item("m1"), company_item("p1", at=SEEN), talk_item(at=SEEN))
    closed = await _conversation(stub)
    await _ingest(stub, client_item("m2"))
    assert (closed.status, closed.floor.holder, closed.talk_id) == (
        pb.CONVERSATION_STATUS_CLOSED,
        pb.FLOOR_HOLDER_BOT,
        "77",
    )
    assert (await _conversation(stub)).status == pb.CONVERSATION_STATUS_ACTIVE


async def test_given_newer_news_of_a_talk_when_older_arrive_then_they_change_nothing(stub: Any) -> None:
    await _ingest(stub, client_item("m1"), talk_item(is_closed=False, talk="8", at=SEEN))
    before = await _conversation(stub)
    [late] = await _ingest(stub, talk_item(talk="7", at=SEEN - timedelta(seconds=1)))
    assert late.outcome == DUPLICATE
    assert await _conversation(stub) == before


async def test_given_a_conversation_when_taken_over_and_released_then_the_floor_follows(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    found = await _conversation(stub)
    taken = (await stub.TakeOver(_verb(service_pb.TakeOverRequest, found, person="Ana"))).conversation
    assert (taken.status, taken.floor.holder, taken.floor.number, taken.assigned_to, taken.unread_count) == (
        pb.CONVERSATION_STATUS_ESCALATED,
        pb.FLOOR_HOLDER_PERSON,
        2,
        "Ana",
        0,
    )
    released = (await stub.ReleaseToBot(_verb(service_pb.ReleaseToBotRequest, taken))).conversation
    assert (released.status, released.floor.holder, released.floor.number, released.assigned_to) == (
        pb.CONVERSATION_STATUS_ACTIVE,
        pb.FLOOR_HOLDER_BOT,
        3,
        "",
    )
    assert [message.outcome for message in await _messages(stub)] == [HANDED]


async def test_given_a_conversation_when_escalated_and_resolved_then_it_tells_why_and_when(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    found = await _conversation(stub)
    request = _verb(
        service_pb.EscalateConversationRequest, found, reason="asks for a refund", priority=common_pb.PRIORITY_HIGH
    )
    called = (await stub.EscalateConversation(request)).conversation
    assert (called.floor.holder, called.escalation_reason, called.escalation_priority) == (
        pb.FLOOR_HOLDER_PERSON_WAITING,
        "asks for a refund",
        common_pb.PRIORITY_HIGH,
    )
    assert called.HasField("escalate_time")
    resolved = (await stub.ResolveConversation(_verb(service_pb.ResolveConversationRequest, called))).conversation
    assert (resolved.status, resolved.floor.holder) == (pb.CONVERSATION_STATUS_RESOLVED, pb.FLOOR_HOLDER_BOT)
    assert resolved.HasField("resolve_time")


async def test_given_verbs_that_make_no_sense_when_asked_for_then_they_are_refused(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    found = await _conversation(stub)
    with pytest.raises(RemoteError) as not_escalated:
        await stub.ReleaseToBot(_verb(service_pb.ReleaseToBotRequest, found))
    await stub.EscalateConversation(_verb(service_pb.EscalateConversationRequest, found))
    with pytest.raises(RemoteError) as escalated:
        await stub.EscalateConversation(_verb(service_pb.EscalateConversationRequest, found))
    await stub.ResolveConversation(_verb(service_pb.ResolveConversationRequest, found))
    with pytest.raises(RemoteError) as ended:
        await stub.ResolveConversation(_verb(service_pb.ResolveConversationRequest, found))
    assert [error.value.reason for error in (not_escalated, escalated, ended)] == [
        "CONVERSATION_NOT_ESCALATED",
        "CONVERSATION_ESCALATED",
        "CONVERSATION_ENDED",
    ]
    assert {error.value.code for error in (not_escalated, escalated, ended)} == {"FAILED_PRECONDITION"}


async def test_given_one_request_when_sent_ten_times_at_once_then_it_is_carried_out_once(stub: Any) -> None:
    await _ingest(stub, client_item("m1"))
    request = _verb(service_pb.EscalateConversationRequest, await _conversation(stub))
    answers = await asyncio.gather(*(stub.EscalateConversation(request) for _ in range(10)))
    assert {answer.conversation.floor.number for answer in answers} == {2}


async def test_given_a_request_id_when_used_for_another_request_then_it_is_refused(stub: Any) -> None:
    await _ingest(stub, client_item("m1"), client_item("m2", chat="chat-2"))
    first, second = await _conversation(stub), await _conversation(stub, "chat-2")
    request = _verb(service_pb.TakeOverRequest, first)
    await stub.TakeOver(request)
    for kind, conversation in (
        (service_pb.TakeOverRequest, second),
        (service_pb.ResolveConversationRequest, first),
    ):
        method = stub.TakeOver if kind is service_pb.TakeOverRequest else stub.ResolveConversation
        with pytest.raises(RemoteError) as caught:
            await method(_verb(kind, conversation, request_id=request.request_id))
        assert caught.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_given_conversations_when_listed_by_page_then_each_comes_once_and_the_newest_first(
    stub: Any, size: int
) -> None:
    await _ingest(stub, *(client_item(f"m{n}", chat=f"chat-{n}", at=SEEN + timedelta(hours=n // 2)) for n in range(5)))
    found: list[str] = []
    token = ""
    while True:
        request = service_pb.ListConversationsRequest(account_id=ACCOUNT, page_size=size, page_token=token)
        page = await stub.ListConversations(request)
        found.extend(conversation.chat_id for conversation in page.conversations)
        token = page.next_page_token
        if not token:
            break
    assert len(found) == 5
    assert found[0] == "chat-4"
    assert [set(found[1:3]), set(found[3:5])] == [{"chat-2", "chat-3"}, {"chat-0", "chat-1"}]


async def test_given_conversations_when_listed_by_status_or_account_then_others_are_left_out(stub: Any) -> None:
    await _ingest(stub, client_item("m1"), client_item("m2", chat="chat-2"))
    await stub.TakeOver(_verb(service_pb.TakeOverRequest, await _conversation(stub)))
    escalated = await stub.ListConversations(
        service_pb.ListConversationsRequest(account_id=ACCOUNT, status=pb.CONVERSATION_STATUS_ESCALATED)
    )
    others = await stub.ListConversations(service_pb.ListConversationsRequest(account_id="99999"))
    assert [conversation.chat_id for conversation in escalated.conversations] == ["chat-1"]
    assert not others.conversations


async def test_given_messages_when_listed_by_page_then_each_comes_once_and_the_newest_first(stub: Any) -> None:
    await _ingest(stub, *(client_item(f"m{n}", at=SEEN + timedelta(seconds=n)) for n in range(5)))
    found = await _conversation(stub)
    names: list[str] = []
    token = ""
    for _ in range(3):
        page = await stub.ListMessages(
            service_pb.ListMessagesRequest(conversation_id=found.id, page_size=2, page_token=token)
        )
        names.extend(message.kommo_message_id for message in page.messages)
        token = page.next_page_token
    assert names == ["m4", "m3", "m2", "m1", "m0"]
    assert token == ""


@pytest.mark.parametrize(
    ("method", "request_", "code", "reason"),
    [
        ("GetConversation", service_pb.GetConversationRequest(), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (
            "GetConversation",
            service_pb.GetConversationRequest(conversation_id=str(uuid4())),
            "NOT_FOUND",
            "CONVERSATION_NOT_FOUND",
        ),
        (
            "GetConversation",
            service_pb.GetConversationRequest(account_id=ACCOUNT, chat_id="none"),
            "NOT_FOUND",
            "CONVERSATION_NOT_FOUND",
        ),
        (
            "ListMessages",
            service_pb.ListMessagesRequest(conversation_id=str(uuid4())),
            "NOT_FOUND",
            "CONVERSATION_NOT_FOUND",
        ),
        (
            "ListMessages",
            service_pb.ListMessagesRequest(conversation_id=str(uuid4()), page_token="x"),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
        ("ListConversations", service_pb.ListConversationsRequest(), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (
            "ListConversations",
            service_pb.ListConversationsRequest(account_id=ACCOUNT, page_size=201),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
        (
            "TakeOver",
            service_pb.TakeOverRequest(conversation_id=str(uuid4()), request_id=str(uuid4())),
            "NOT_FOUND",
            "CONVERSATION_NOT_FOUND",
        ),
        (
            "TakeOver",
            service_pb.TakeOverRequest(conversation_id=str(uuid4()), request_id="x"),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
        (
            "ReleaseToBot",
            service_pb.ReleaseToBotRequest(conversation_id="x", request_id=str(uuid4())),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
        (
            "EscalateConversation",
            service_pb.EscalateConversationRequest(
                conversation_id=str(uuid4()), request_id=str(uuid4()), reason="r" * 1001
            ),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
        (
            "ResolveConversation",
            service_pb.ResolveConversationRequest(conversation_id=str(uuid4()), request_id=str(uuid4())),
            "NOT_FOUND",
            "CONVERSATION_NOT_FOUND",
        ),
        ("GetTrace", service_pb.GetTraceRequest(), "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("GetTrace", service_pb.GetTraceRequest(turn_id=str(uuid4())), "NOT_FOUND", "TRACE_NOT_FOUND"),
        ("GetTrace", service_pb.GetTraceRequest(message_id=str(uuid4())), "NOT_FOUND", "TRACE_NOT_FOUND"),
        ("GetTrace", service_pb.GetTraceRequest(delivery_id=str(uuid4())), "NOT_FOUND", "TRACE_NOT_FOUND"),
    ],
)
async def test_given_a_request_that_names_nothing_when_sent_then_its_status_says_why(
    stub: Any, method: str, request_: Any, code: str, reason: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        await getattr(stub, method)(request_)
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_given_a_burst_within_one_second_when_listed_then_it_comes_in_the_order_of_arrival(stub: Any) -> None:
    burst = [f"m{n}" for n in range(20)]
    await _ingest(stub, *(client_item(name, at=SEEN) for name in burst[:10]))
    for name in burst[10:]:
        await _ingest(stub, client_item(name, at=SEEN))
    assert [message.kommo_message_id for message in await _messages(stub)] == burst[::-1]
