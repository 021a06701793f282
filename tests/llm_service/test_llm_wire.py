"""Both services over the wire: the real server, the real channel."""

import subprocess
import sys
from collections.abc import AsyncIterator

import grpc
import pytest
from support.scripted_model import ModelServer, said

from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.intent.v1 import analysis_pb2 as intent_pb
from kommomesh.llm.v1 import generation_pb2 as pb
from kommomesh.llm.v1 import knowledge_service_pb2 as knowledge_pb
from kommomesh.llm.v1 import knowledge_service_pb2_grpc as knowledge_grpc
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh.llm.v1 import reply_service_pb2_grpc as reply_grpc
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.channel import open_channel
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.server import running_server
from llm_service.__main__ import model_writer, services
from llm_service.adapters.library import Library
from llm_service.servicer import KNOWLEDGE_SERVICE, REPLY_SERVICE
from llm_service.settings import LlmSettings
from llm_service.use_cases import ReplyWriter

SETTINGS = LlmSettings(MESH_OPENAI_API_KEY="", port=0, drain_seconds=0, grace_seconds=1)


@pytest.fixture
async def library() -> Library:
    library = Library(Accounts.of(Account(id="12345", subdomain="test")))
    await library.refresh()
    return library


@pytest.fixture
async def channel(library: Library) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        running_server(services(library, ReplyWriter(library)), SETTINGS) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}", services=(REPLY_SERVICE, KNOWLEDGE_SERVICE)) as channel,
    ):
        yield channel


def _burst(*texts: str) -> list[reply_pb.ChatMessage]:
    return [reply_pb.ChatMessage(role=common_pb.ROLE_USER, text=text) for text in texts]


async def _generate(channel: grpc.aio.Channel, **fields: object) -> reply_pb.GenerateReplyResponse:
    request = reply_pb.GenerateReplyRequest(**{"account_id": "12345", **fields})  # type: ignore[arg-type]
    response: reply_pb.GenerateReplyResponse = await reply_grpc.ReplyServiceStub(channel).GenerateReply(request)
    return response


async def _search(channel: grpc.aio.Channel, **fields: object) -> list[pb.KnowledgeRow]:
    request = knowledge_pb.SearchKnowledgeRequest(**{"account_id": "12345", **fields})  # type: ignore[arg-type]
    return list((await knowledge_grpc.KnowledgeServiceStub(channel).SearchKnowledge(request)).rows)


async def test_given_no_key_when_a_reply_is_asked_for_then_the_data_answers(channel: grpc.aio.Channel) -> None:
    response = await _generate(channel, burst=_burst("Hola", "cuánto sale la sartén de 24?"))
    assert response.WhichOneof("result") == "reply"
    assert "$31.990" in response.reply.text
    assert list(response.reply.parts)[-1].startswith("https://")
    assert "\n".join(response.reply.parts) == response.reply.text
    generation = response.generation
    assert (generation.model, generation.model_calls, generation.prompt_json) == ("business-data", 0, "")
    (row,) = generation.rows
    assert (row.id, row.price, row.currency, row.stock) == ("COC-SAR-24", "31990", "ARS", 9)


async def test_given_history_and_analysis_when_a_reply_is_asked_for_then_both_count(channel: grpc.aio.Channel) -> None:
    history = [
        reply_pb.ChatMessage(role=common_pb.ROLE_USER, text="do you have an air fryer?"),
        reply_pb.ChatMessage(role=common_pb.ROLE_ASSISTANT, text="Freidora de aire 4 l: ARS 149,900."),
    ]
    analysis = intent_pb.Analysis(intent=intent_pb.INTENT_PRICE_INQUIRY, language="en")
    response = await _generate(channel, history=history, burst=_burst("link?"), analysis=analysis)
    assert response.reply.text == "https://casalumbre.example/p/freidora-de-aire-4-l"


async def test_given_an_appointment_when_asked_for_then_a_person_is_needed(channel: grpc.aio.Channel) -> None:
    response = await _generate(channel, burst=_burst("quiero un turno para el lunes"))
    assert response.WhichOneof("result") == "person_needed"
    person = response.person_needed
    assert (person.reason_code, person.priority, person.is_failure) == (
        "appointment", common_pb.PRIORITY_MEDIUM, False
    )  # fmt: skip
    assert person.reason


async def test_given_a_voice_note_when_a_reply_is_asked_for_then_it_is_acknowledged(channel: grpc.aio.Channel) -> None:
    voice = reply_pb.ChatMessage(role=common_pb.ROLE_USER, content_type=common_pb.CONTENT_TYPE_VOICE)
    response = await _generate(channel, burst=[voice])
    assert "audio" in response.reply.text


async def test_given_wrong_requests_when_sent_then_the_documented_status_comes_back(channel: grpc.aio.Channel) -> None:
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"burst": []}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"account_id": "", "burst": _burst("hola")}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"account_id": "999", "burst": _burst("hola")}, "NOT_FOUND", "ACCOUNT_NOT_FOUND"),
        ({"burst": _burst(*["a"] * 101)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    ]
    for fields, code, reason in cases:
        with pytest.raises(RemoteError) as caught:
            await _generate(channel, **fields)
        assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_given_an_account_without_a_usable_profile_when_asked_then_that_is_the_reason() -> None:
    library = Library(Accounts.of(Account(id="12345", subdomain="test")))
    async with (
        running_server(services(library, ReplyWriter(library)), SETTINGS) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}") as channel,
    ):
        with pytest.raises(RemoteError) as caught:
            await _search(channel, query="sartén")
    assert (caught.value.code, caught.value.reason) == ("FAILED_PRECONDITION", "PROFILE_UNAVAILABLE")


async def test_given_words_when_searched_then_rows_of_the_wanted_kind_come_best_first(
    channel: grpc.aio.Channel,
) -> None:
    rows = await _search(channel, query="cuánto sale el envío de la sartén", page_size=10)
    assert {row.kind for row in rows} == {pb.KNOWLEDGE_KIND_PRODUCT, pb.KNOWLEDGE_KIND_FAQ}
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    faqs = await _search(channel, query="hacen envíos?", kind=pb.KNOWLEDGE_KIND_FAQ, page_size=2)
    assert len(faqs) == 2
    assert not faqs[0].HasField("stock")
    assert await _search(channel, query="zapatillas nike") == []


async def test_given_wrong_searches_when_sent_then_they_are_invalid(channel: grpc.aio.Channel) -> None:
    for fields in ({"query": " "}, {"query": "x" * 4097}, {"query": "a", "page_size": 51}, {"query": "a", "kind": 9}):
        with pytest.raises(RemoteError) as caught:
            await _search(channel, **fields)
        assert caught.value.code == "INVALID_ARGUMENT"


async def test_given_a_key_when_a_reply_is_asked_for_then_the_model_writes_it(
    library: Library, model_server: ModelServer
) -> None:
    settings = LlmSettings(MESH_OPENAI_API_KEY="key", MESH_OPENAI_BASE_URL=model_server.url)
    model_server.script(said("¡Hola! La sartén antiadherente 24 cm sale $31.990."))
    async with (
        model_writer(settings) as writer,
        running_server(services(library, ReplyWriter(library, writer)), SETTINGS) as server,
        open_channel(f"dns:///127.0.0.1:{server.port}") as channel,
    ):
        response = await _generate(channel, burst=_burst("cuánto sale la sartén de 24?"))
        media = reply_pb.ChatMessage(role=common_pb.ROLE_USER, content_type=common_pb.CONTENT_TYPE_STICKER)
        sticker = await _generate(channel, burst=[media])
    assert response.reply.text == "¡Hola! La sartén antiadherente 24 cm sale $31.990."
    assert response.generation.usage.prompt_tokens == 100
    assert response.generation.usage.cached_tokens == 64
    assert response.generation.model_duration.ToTimedelta().total_seconds() > 0
    assert response.generation.prompt_json.count("cuánto sale la sartén de 24?") == 1
    assert sticker.generation.model == "business-data"
    assert len(model_server.requests) == 1


def test_given_no_key_when_started_then_the_model_s_client_library_is_not_imported() -> None:
    code = "import sys, llm_service.__main__; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
