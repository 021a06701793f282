"""intent-service over the wire."""

from functools import partial

import pytest
from grpc.aio import EOF, AioRpcError

from intent_service.adapters.profiles import Profiles
from intent_service.adapters.rule_files import read_borders
from intent_service.servicer import SERVICE, IntentServicer
from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.intent.v1 import analysis_pb2 as pb
from kommomesh.intent.v1 import intent_service_pb2 as service_pb
from kommomesh.intent.v1 import intent_service_pb2_grpc as pb_grpc
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings


@pytest.fixture
async def stub(analyzer):
    profiles = Profiles(Accounts.of(Account(id="12345", subdomain="test")), analyzer)
    await profiles.refresh()
    servicer = IntentServicer(analyzer, profiles, read_borders())
    service = Service(SERVICE, partial(pb_grpc.add_IntentServiceServicer_to_server, servicer))
    async with (
        running_server([service], ServerSettings(drain_seconds=0)) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=[SERVICE]) as channel,
    ):
        yield pb_grpc.IntentServiceStub(channel)


def request(text, **fields):
    return service_pb.AnalyzeMessageRequest(text=text, **fields)


async def test_given_request_for_a_person_when_analysed_then_the_whole_analysis_comes_back(stub):
    analysis = (await stub.AnalyzeMessage(request("quiero hablar con un asesor", locale="pt-BR"))).analysis
    assert analysis.intent == pb.INTENT_ESCALATION
    assert 0.9 < analysis.confidence <= 1
    assert len(analysis.runners_up) == 3
    assert analysis.language == "es"
    assert analysis.escalation.should_escalate
    assert analysis.escalation.reason_code == pb.ESCALATION_REASON_HUMAN_REQUEST
    assert analysis.escalation.priority == common_pb.PRIORITY_HIGH
    assert "cliente" in analysis.escalation.reason
    assert analysis.escalation.matched


async def test_given_history_of_failed_answers_when_analysed_then_a_person_is_called(stub):
    said = [
        service_pb.Utterance(role=common_pb.ROLE_USER, text="arreglan paraguas?"),
        service_pb.Utterance(role=common_pb.ROLE_ASSISTANT, text="No entendí, ¿podés reformular?"),
        service_pb.Utterance(role=common_pb.ROLE_USER, text="paraguas, arreglo"),
        service_pb.Utterance(role=common_pb.ROLE_ASSISTANT, text="No entendí, ¿podés reformular?"),
        service_pb.Utterance(role=common_pb.ROLE_UNSPECIFIED, text="?"),
    ]
    response = await stub.AnalyzeMessage(request("que si arreglan paraguas", history=said, account_id="12345"))
    assert response.analysis.escalation.reason_code == pb.ESCALATION_REASON_REPEATED_FAILURE


@pytest.mark.parametrize("text", ["", "   ", "a" * 4097, "a" * 100_000])
async def test_given_text_that_cannot_be_analysed_when_sent_then_the_error_is_typed(stub, text):
    with pytest.raises(RemoteError) as caught:
        await stub.AnalyzeMessage(request(text))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


async def test_given_unknown_account_when_sent_then_not_found(stub):
    with pytest.raises(RemoteError) as caught:
        await stub.AnalyzeMessage(request("hola", account_id="1"))
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "ACCOUNT_NOT_FOUND")


async def test_given_batch_with_a_bad_message_when_analysed_then_the_others_are_answered_in_order(stub):
    batch = service_pb.BatchAnalyzeMessagesRequest(requests=[request("hola"), request(""), request("mil gracias")])
    results = (await stub.BatchAnalyzeMessages(batch)).results
    assert [result.WhichOneof("result") for result in results] == ["analysis", "error", "analysis"]
    assert results[0].analysis.intent == pb.INTENT_GREETING
    assert "text" in results[1].error
    assert results[2].analysis.intent == pb.INTENT_OTHER


@pytest.mark.parametrize("count", [0, 1001])
async def test_given_batch_of_wrong_size_when_sent_then_the_error_is_typed(stub, count):
    with pytest.raises(RemoteError) as caught:
        await stub.BatchAnalyzeMessages(service_pb.BatchAnalyzeMessagesRequest(requests=[request("hola")] * count))
    assert caught.value.code == "INVALID_ARGUMENT"


async def test_given_account_when_intents_are_listed_then_all_nine_come_in_order_with_its_phrases(stub):
    intents = (await stub.ListIntents(service_pb.ListIntentsRequest(account_id="12345"))).intents
    assert [info.name for info in intents][:2] == ["escalation", "complaint"]
    assert len(intents) == 9
    assert all(info.description for info in intents)
    assert sum(info.profile_phrase_count for info in intents) > 0


async def streamed(stub, *sent):
    """Return the responses to (message id, text) pairs sent over one stream."""

    async def requests():
        for message_id, text in sent:
            yield service_pb.StreamAnalyzeMessagesRequest(message_id=message_id, request=request(text))

    return [response async for response in stub.StreamAnalyzeMessages(requests(), timeout=60)]


async def test_given_stream_with_bad_messages_when_analysed_then_each_has_its_result_and_the_stream_goes_on(stub):
    sent = [("a", "hola"), ("b", ""), ("c", "a" * 100_000), ("d", "a\0b"), ("e", "mil gracias")]
    responses = await streamed(stub, *sent)
    assert [response.message_id for response in responses] == ["a", "b", "c", "d", "e"]
    kinds = [response.result.WhichOneof("result") for response in responses]
    assert kinds == ["analysis", "error", "error", "error", "analysis"]
    assert responses[-1].result.analysis.intent == pb.INTENT_OTHER


async def test_given_many_messages_when_streamed_then_results_come_in_order_and_as_alone(stub):
    texts = ["hola", "cuánto sale el termo?", "me llegó roto", "gracias!", "quiero un turno"] * 60
    responses = await streamed(stub, *((str(number), text) for number, text in enumerate(texts)))
    assert [response.message_id for response in responses] == [str(number) for number in range(len(texts))]
    alone = [(await stub.AnalyzeMessage(request(text))).analysis.intent for text in texts[:5]]
    assert [response.result.analysis.intent for response in responses] == alone * 60


async def test_given_open_stream_when_one_message_is_sent_then_its_result_comes_before_the_next_is_sent(stub):
    call = stub.StreamAnalyzeMessages(timeout=60)
    for text, intent in [("hola, buen día", pb.INTENT_GREETING), ("quiero un turno", pb.INTENT_APPOINTMENT)]:
        await call.write(service_pb.StreamAnalyzeMessagesRequest(message_id=text, request=request(text)))
        response = await call.read()
        assert (response.message_id, response.result.analysis.intent) == (text, intent)
    await call.done_writing()
    assert await call.read() is EOF


async def test_given_stream_without_messages_when_closed_then_it_ends_well(stub):
    assert await streamed(stub) == []


async def test_given_message_of_unknown_account_when_streamed_then_only_it_has_an_error(stub):
    call = stub.StreamAnalyzeMessages(timeout=60)
    for account_id in ("1", "12345"):
        sent = request("hola", account_id=account_id)
        await call.write(service_pb.StreamAnalyzeMessagesRequest(message_id=account_id, request=sent))
    await call.done_writing()
    results = [await call.read(), await call.read()]
    assert [one.result.WhichOneof("result") for one in results] == ["error", "analysis"]


async def test_given_service_that_fails_when_streamed_to_then_the_status_says_internal_and_no_more():
    profiles = Profiles(Accounts.of(Account(id="12345", subdomain="test")), None)
    servicer = IntentServicer(None, profiles, {})
    service = Service(SERVICE, partial(pb_grpc.add_IntentServiceServicer_to_server, servicer))
    async with (
        running_server([service], ServerSettings(drain_seconds=0)) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=[SERVICE]) as channel,
    ):
        with pytest.raises(AioRpcError) as caught:
            await streamed(pb_grpc.IntentServiceStub(channel), ("a", "hola"))
    assert (caught.value.code().name, caught.value.details()) == ("INTERNAL", "internal error")


@pytest.mark.parametrize("size", [100_000, 3_900_000])
async def test_given_text_far_too_long_when_sent_then_the_error_names_its_field(stub, size):
    with pytest.raises(RemoteError) as caught:
        await stub.AnalyzeMessage(request("(a+)+" * (size // 5)))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.metadata["field"] == "text"
