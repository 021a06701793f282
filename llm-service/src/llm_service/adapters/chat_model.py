"""Calls to a model through any API that speaks OpenAI's chat completions."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from kommomesh_runtime.deadline import time_left
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import counter, histogram
from llm_service.domain.prompt import ChatMessages
from llm_service.domain.values import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MODEL_SECONDS = histogram("llm_model_seconds", "Time of model calls, repeats apart.", ("result",))
MODEL_TOKENS = counter("llm_model_tokens_total", "Tokens of model calls.", ("kind",))

OPENAI_URL = "https://api.openai.com/v1"
RESERVE_SECONDS = 0.3
LEAST_CALL_SECONDS = 0.2
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 4.0
TRANSIENT_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504})
TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
UNSUPPORTED_CODES = frozenset({"unsupported_parameter", "unsupported_value"})
QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})

ResponseFormat = Mapping[str, Any]

log = get_logger()


class Failure(Enum):
    """What a failed call means for the next step."""

    TRANSIENT = "transient"
    FINAL = "final"
    TOO_LONG = "too_long"
    FILTERED = "filtered"
    OUT_OF_TIME = "out_of_time"


class ModelError(Exception):
    """A model did not answer; `calls` were made.

    `retry_after` (seconds) is set where the server named a time, `status` where it answered with an HTTP error.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str,
        *,
        retry_after: float | None = None,
        calls: int = 1,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{failure.value}: {detail}")
        self.failure, self.detail, self.retry_after, self.calls = failure, detail, retry_after, calls
        self.status = status


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, as the provider reports it, and how many calls it took."""

    text: str
    finish_reason: str
    model: str
    usage: Usage
    calls: int = 1


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of model calls: seconds a call, repeats, tokens and temperature of an answer."""

    timeout_seconds: float
    max_retries: int
    max_tokens: int
    temperature: float


def classify(status: int, codes: frozenset[str]) -> Failure:
    """Return what an error answer means: by its HTTP status first, by `code` and `type` second.

    Args:
        status: HTTP status.
        codes: `code` and `type` of the error body, as text.
    """
    if status in (400, 413, 422) and codes & TOO_LONG_CODES:
        return Failure.TOO_LONG
    if status in (400, 403, 422) and codes & FILTER_CODES:
        return Failure.FILTERED
    if status == 429 and codes & QUOTA_CODES:
        return Failure.FINAL
    if status in TRANSIENT_STATUSES or (status > 504 and status != 501):
        return Failure.TRANSIENT
    return Failure.FINAL


def _codes(body: object) -> frozenset[str]:
    error = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(error, dict):
        return frozenset()
    return frozenset(str(error[key]) for key in ("code", "type") if error.get(key) is not None)


def _retry_after(headers: Any) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _usage(completion: Any) -> Usage:
    usage = getattr(completion, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(
        int(getattr(usage, "prompt_tokens", 0) or 0),
        int(getattr(usage, "completion_tokens", 0) or 0),
        int(getattr(details, "cached_tokens", 0) or 0),
    )


def _completion(answer: Any, model: str) -> Completion:
    choices = getattr(answer, "choices", None)
    if not choices:
        raise ModelError(Failure.TRANSIENT, "an answer without choices")
    message = choices[0].message
    refusal = getattr(message, "refusal", None)
    text = getattr(message, "content", None)
    if text is not None and not isinstance(text, str):
        raise ModelError(Failure.FINAL, "content that is not text")
    finish = "content_filter" if refusal and not text else str(choices[0].finish_reason or "stop")
    return Completion(text or "", finish, str(getattr(answer, "model", "") or model), _usage(answer))


class ChatModel:
    """A client of one API.

    Args:
        client: the API's client, without retries of its own.
        limits: limits of calls.
        jitter: a number from 0 to 1 that spreads repeats.
    """

    def __init__(self, client: "AsyncOpenAI", limits: CallLimits, jitter: Callable[[], float]) -> None:
        self._client, self._limits, self._jitter = client, limits, jitter
        self._refused: dict[str, frozenset[str]] = {}

    async def complete(
        self, model: str, messages: ChatMessages, response_format: ResponseFormat | None = None
    ) -> Completion:
        """Return what the model writes; what failed for now is repeated as long as the time left allows.

        Args:
            model: the model's name.
            messages: what to say to it.
            response_format: a JSON schema for its answer, in OpenAI's form; servers may ignore or refuse it.

        Raises:
            ModelError: it did not answer.
        """
        calls = 0
        while True:
            calls += 1
            try:
                answer = await self._once(model, messages, response_format)
            except ModelError as error:
                wait = self._wait(error, calls)
                log.warning("model.failed", model=model, failure=error.failure.value, detail=error.detail, call=calls)
                if wait is None:
                    error.calls = calls
                    raise
                await asyncio.sleep(wait)
            else:
                return Completion(answer.text, answer.finish_reason, answer.model, answer.usage, calls)

    def _wait(self, error: ModelError, calls: int) -> float | None:
        if error.failure is not Failure.TRANSIENT or calls > self._limits.max_retries:
            return None
        backoff = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (calls - 1)) * (0.5 + self._jitter() / 2)
        wait = error.retry_after if error.retry_after is not None else backoff
        left = time_left()
        return None if left is not None and wait + RESERVE_SECONDS + LEAST_CALL_SECONDS > left else wait

    async def _once(self, model: str, messages: ChatMessages, response_format: ResponseFormat | None) -> Completion:
        left = time_left()
        limit = self._limits.timeout_seconds
        timeout = limit if left is None else min(limit, left - RESERVE_SECONDS)
        if timeout < LEAST_CALL_SECONDS:
            raise ModelError(Failure.OUT_OF_TIME, "no time left", calls=0)
        began = time.monotonic()
        result = "failed"
        try:
            async with asyncio.timeout(timeout):
                answer = await self._request(model, messages, response_format)
            result = "answered"
        except TimeoutError:
            raise ModelError(Failure.TRANSIENT, "timed out") from None
        finally:
            MODEL_SECONDS.labels(result).observe(time.monotonic() - began)
        MODEL_TOKENS.labels("prompt").inc(answer.usage.prompt_tokens)
        MODEL_TOKENS.labels("completion").inc(answer.usage.completion_tokens)
        return answer

    def _options(self, model: str) -> dict[str, Any]:
        refused = self._refused.get(model, frozenset())
        length = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        options: dict[str, Any] = {length: self._limits.max_tokens}
        return options if "temperature" in refused else {**options, "temperature": self._limits.temperature}

    def _learns(self, model: str, codes: frozenset[str], parameter: str) -> bool:
        """Remember a parameter that the model refuses; true when a call without it is worth making."""
        refused = self._refused.get(model, frozenset())
        if not codes & UNSUPPORTED_CODES or parameter not in {"max_tokens", "temperature"} - refused:
            return False
        self._refused[model] = refused | {parameter}
        return True

    async def _request(self, model: str, messages: ChatMessages, response_format: ResponseFormat | None) -> Completion:
        import openai

        request: Any = self._client.chat.completions.create
        options = self._options(model) | ({"response_format": response_format} if response_format else {})
        try:
            answer = await request(model=model, messages=list(messages), **options)
        except openai.APIStatusError as error:
            codes = _codes(error.body)
            if self._learns(model, codes, str(getattr(error, "param", "") or "")):
                return await self._request(model, messages, response_format)
            raise ModelError(
                classify(error.status_code, codes),
                f"HTTP {error.status_code}",
                retry_after=_retry_after(error.response.headers),
                status=error.status_code,
            ) from None
        except openai.APIConnectionError:
            raise ModelError(Failure.TRANSIENT, "no connection") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            raise ModelError(Failure.TRANSIENT, "an answer that cannot be read") from None
        return _completion(answer, model)


@asynccontextmanager
async def open_chat_model(
    key: str, base_url: str, limits: CallLimits, jitter: Callable[[], float]
) -> AsyncIterator[ChatModel]:
    """Open a client for as long as the process lives; the client library is imported here and not before.

    Args:
        key: key of the API.
        base_url: base URL of a compatible API; empty means OpenAI's own.
        limits: limits of calls.
        jitter: a number from 0 to 1 that spreads repeats.
    """
    from openai import AsyncOpenAI

    async with AsyncOpenAI(
        api_key=key, base_url=base_url or OPENAI_URL, max_retries=0, timeout=limits.timeout_seconds
    ) as client:
        yield ChatModel(client, limits, jitter)
