"""Replies of a model over real HTTP: what reaches the client, and what happens when the model fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
from support.scripted_model import ModelServer, Step, echoing_system, error, raw, said, silent, without_usage

from kommomesh_runtime.deadline import budget
from llm_service.__main__ import model_writer
from llm_service.adapters.chat_model import Failure, classify
from llm_service.adapters.library import Business
from llm_service.domain.data_replies import MODEL_NAME
from llm_service.domain.values import Handover, Outcome, Question, Reply, Said, Speaker, Usage
from llm_service.model_replies import ModelWriter
from llm_service.settings import LlmSettings

PAN = "Hola, cuánto sale la sartén de 24?"
GOOD = "La sartén antiadherente 24 cm sale $31.990 y hay stock."
UNKNOWN = "¿El dueño juega al fútbol los jueves?"


@dataclass
class Desk:
    """A writer over the scripted model."""

    business: Business
    server: ModelServer
    writer: ModelWriter

    async def ask(self, *steps: Step, text: str = PAN, history: Sequence[Said] = ()) -> Outcome:
        self.server.script(*steps)
        self.server.requests.clear()
        return await self.writer.write(self.business, Question((Said(Speaker.CLIENT, text),), tuple(history)))


@pytest.fixture
async def desk(business: Business, model_server: ModelServer) -> AsyncIterator[Desk]:
    settings = LlmSettings(
        MESH_OPENAI_API_KEY="key",
        MESH_OPENAI_BASE_URL=model_server.url,
        MESH_OPENAI_MODEL_CHAT="chat",
        MESH_OPENAI_MODEL_FAST="fast",
        model_timeout_seconds=5,
        model_max_retries=1,
        reply_seconds=15,
    )
    async with model_writer(settings) as writer:
        assert writer
        yield Desk(business, model_server, writer)


def _text(outcome: Outcome) -> str:
    assert isinstance(outcome.result, Reply), outcome.result
    return outcome.result.text


def _person(outcome: Outcome) -> Handover:
    assert isinstance(outcome.result, Handover), outcome.result
    return outcome.result


def _failed(outcome: Outcome) -> list[str]:
    return [verdict.guard for verdict in outcome.generation.verdicts if not verdict.passed]


async def test_given_a_model_when_it_answers_then_its_reply_and_usage_are_kept(desk: Desk) -> None:
    outcome = await desk.ask(said(GOOD))
    assert _text(outcome) == GOOD
    generation = outcome.generation
    assert (generation.model, generation.finish_reason, generation.model_calls) == ("chat-served", "stop", 1)
    assert generation.usage == Usage(100, 20, 64)
    assert "COC-SAR-24" in [row.id for row in generation.rows]
    assert len(generation.verdicts) == 17
    assert PAN in generation.prompt_json
    (request,) = desk.server.requests
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("chat", 0.3, 500)
    assert request["messages"][-1] == {"role": "user", "content": PAN}


async def test_given_markdown_when_answered_then_it_is_gone(desk: Desk) -> None:
    outcome = await desk.ask(said("## Precio\n- La **sartén antiadherente 24 cm** sale *$31.990*"))
    assert _text(outcome) == "Precio\n• La sartén antiadherente 24 cm sale $31.990"


async def test_given_an_invented_price_when_drafted_then_a_second_draft_is_asked_for_with_the_reason(
    desk: Desk,
) -> None:
    outcome = await desk.ask(said("Sale $29.990"), said(GOOD))
    assert _text(outcome) == GOOD
    assert _failed(outcome) == []
    assert outcome.generation.usage == Usage(200, 40, 128)
    assert "$29.990" in desk.server.requests[1]["messages"][0]["content"]
    assert [m["content"] for m in desk.server.requests[1]["messages"]].count(PAN) == 1


async def test_given_invented_prices_twice_when_the_data_answers_then_the_data_does(desk: Desk) -> None:
    outcome = await desk.ask(said("Sale $29.990"))
    assert "$31.990" in _text(outcome)
    assert outcome.generation.model == MODEL_NAME
    assert (_failed(outcome), outcome.generation.model_calls) == (["amounts"], 2)


async def test_given_inventions_twice_when_the_data_has_no_answer_then_a_person_comes(desk: Desk) -> None:
    wanted = _person(await desk.ask(said("Sí, y cuesta $500 la entrada"), text=UNKNOWN))
    assert (wanted.reason_code, wanted.is_failure) == ("guard_rejected", True)


async def test_given_a_model_that_leaks_its_prompt_when_drafted_then_nothing_of_it_leaves(desk: Desk) -> None:
    outcome = await desk.ask(echoing_system())
    assert "leaks" in _failed(outcome)
    assert "REGLAS" not in _text(outcome)


async def test_given_a_model_that_asks_for_a_person_when_read_then_a_person_comes(desk: Desk) -> None:
    wanted = _person(await desk.ask(said("[[PERSON]] quiere comprar por mayor")))
    assert (wanted.reason_code, wanted.reason) == ("model_asks", "quiere comprar por mayor")
    assert not wanted.is_failure


async def test_given_a_model_that_promises_a_person_when_read_then_a_person_comes(desk: Desk) -> None:
    assert _person(await desk.ask(said("Te paso con una persona del equipo."))).reason_code == "model_asks"


async def test_given_an_answer_cut_by_length_when_read_then_whole_sentences_are_left(desk: Desk) -> None:
    outcome = await desk.ask(said(f"{GOOD} Además te cuento que ten", "length"))
    assert _text(outcome) == GOOD
    assert outcome.generation.finish_reason == "length"


@pytest.mark.parametrize("steps", [(said("", "content_filter"),), (error(400, "content_filter"),)])
async def test_given_a_content_filter_when_it_strikes_then_a_person_comes(desk: Desk, steps: tuple[Step, ...]) -> None:
    assert _person(await desk.ask(*steps)).reason_code == "content_filter"


async def test_given_an_empty_answer_when_read_then_the_data_or_a_person_answers(desk: Desk) -> None:
    assert "$31.990" in _text(await desk.ask(said("")))
    assert _person(await desk.ask(said(""), text=UNKNOWN)).reason_code == "guard_rejected"


@pytest.mark.parametrize(
    "fault",
    [
        error(429, headers={"Retry-After": "0"}),
        error(500, code=500),
        error(503),
        error(408),
        raw("{not json"),
        raw("<html>busy</html>", media_type="text/html"),
        raw('{"choices": []}'),
    ],
)
async def test_given_a_fault_that_passes_when_repeated_then_the_reply_comes(desk: Desk, fault: Step) -> None:
    outcome = await desk.ask(fault, said(GOOD))
    assert _text(outcome) == GOOD
    assert (len(desk.server.requests), outcome.generation.model_calls) == (2, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
async def test_given_a_fault_that_stays_when_it_is_final_then_the_other_model_is_asked_at_once(
    desk: Desk, status: int
) -> None:
    outcome = await desk.ask(error(status, code=status), said(GOOD))
    assert _text(outcome) == GOOD
    assert [request["model"] for request in desk.server.requests] == ["chat", "fast"]


async def test_given_no_quota_when_asked_then_it_is_not_repeated(desk: Desk) -> None:
    await desk.ask(error(429, "insufficient_quota"), said(GOOD))
    assert [request["model"] for request in desk.server.requests] == ["chat", "fast"]


async def test_given_every_model_down_when_the_data_answers_then_the_data_does(desk: Desk) -> None:
    outcome = await desk.ask(error(503))
    assert "$31.990" in _text(outcome)
    assert (outcome.generation.model, outcome.generation.model_calls) == (MODEL_NAME, 4)
    assert outcome.generation.finish_reason == "transient"


async def test_given_every_model_down_when_the_data_has_no_answer_then_a_person_is_told_of_the_failure(
    desk: Desk,
) -> None:
    wanted = _person(await desk.ask(error(401), text=UNKNOWN))
    assert (wanted.reason_code, wanted.is_failure) == ("model_unavailable", True)


async def test_given_every_model_down_when_a_person_was_wanted_then_that_is_the_reason(desk: Desk) -> None:
    wanted = _person(await desk.ask(error(401), text="quiero hablar con una persona"))
    assert (wanted.reason_code, wanted.is_failure) == ("human_request", False)


async def test_given_a_silent_model_when_the_caller_s_time_ends_then_the_data_answers_in_time(desk: Desk) -> None:
    async with asyncio.timeout(30):
        with budget(1.0):
            outcome = await desk.ask(silent)
    assert "$31.990" in _text(outcome)
    assert outcome.generation.model == MODEL_NAME


async def test_given_a_retry_after_beyond_the_time_left_when_asked_then_nobody_waits_for_it(desk: Desk) -> None:
    async with asyncio.timeout(30):
        outcome = await desk.ask(error(429, headers={"Retry-After": "120"}))
    assert outcome.generation.model_calls == 2
    assert "$31.990" in _text(outcome)


async def test_given_a_context_that_is_too_long_when_refused_then_a_shorter_one_is_sent(desk: Desk) -> None:
    history = [Said(Speaker.CLIENT, f"mensaje {number}") for number in range(10)]
    outcome = await desk.ask(error(400, "exceed_context_size_error"), said(GOOD), history=history)
    assert _text(outcome) == GOOD
    first, second = desk.server.requests
    assert len(second["messages"][-1]["content"]) < len(first["messages"][-1]["content"])
    assert second["messages"][-1]["content"].endswith(PAN)


async def test_given_a_model_that_refuses_parameters_when_asked_again_then_they_are_left_out(desk: Desk) -> None:
    refused = error(400, "unsupported_parameter", param="max_tokens")
    value = error(400, "unsupported_value", param="temperature")
    assert _text(await desk.ask(refused, value, said(GOOD))) == GOOD
    assert "max_completion_tokens" in desk.server.requests[-1]
    assert not {"temperature", "max_tokens"} & set(desk.server.requests[-1])
    await desk.ask(said(GOOD))
    assert len(desk.server.requests) == 1


async def test_given_a_server_that_counts_nothing_when_it_answers_then_the_reply_is_the_same(desk: Desk) -> None:
    outcome = await desk.ask(without_usage(GOOD))
    assert _text(outcome) == GOOD
    assert outcome.generation.usage == Usage()


async def test_given_many_clients_when_asked_at_once_then_none_waits_for_another_s_fault(desk: Desk) -> None:
    desk.server.script(said(GOOD))
    question = Question((Said(Speaker.CLIENT, PAN),))
    outcomes = await asyncio.gather(*(desk.writer.write(desk.business, question) for _ in range(20)))
    assert {_text(outcome) for outcome in outcomes} == {GOOD}
    prompts = {request["messages"][0]["content"] for request in desk.server.requests}
    assert len(prompts) == 20


@pytest.mark.parametrize(
    ("status", "codes", "failure"),
    [
        (429, {"rate_limit_exceeded"}, Failure.TRANSIENT),
        (429, {"insufficient_quota"}, Failure.FINAL),
        (500, set(), Failure.TRANSIENT),
        (529, set(), Failure.TRANSIENT),
        (501, set(), Failure.FINAL),
        (400, {"context_length_exceeded"}, Failure.TOO_LONG),
        (400, {"content_filter"}, Failure.FILTERED),
        (400, {"400"}, Failure.FINAL),
        (401, {"context_length_exceeded"}, Failure.FINAL),
        (404, set(), Failure.FINAL),
    ],
)
def test_given_an_error_when_classified_then_the_status_counts_first(
    status: int, codes: set[str], failure: Failure
) -> None:
    assert classify(status, frozenset(codes)) is failure


async def test_given_no_key_when_opened_then_there_is_no_model() -> None:
    async with model_writer(LlmSettings(MESH_OPENAI_API_KEY="")) as writer:
        assert writer is None
