"""Asking a model what an unsure message wants."""

from dataclasses import dataclass
from time import monotonic

from kommomesh_runtime.deadline import budget
from kommomesh_runtime.errors import FailedPrecondition, Unavailable
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import counter
from llm_service.adapters.chat_model import ChatModel, Completion, Failure, ModelError
from llm_service.adapters.data_files import shipped_text
from llm_service.adapters.library import Library
from llm_service.domain.classification import (
    RESPONSE_FORMAT,
    Label,
    UnsureMessage,
    classification_messages,
    parse_label,
)
from llm_service.domain.prompt import ChatMessages
from llm_service.domain.values import Generation

CLASSIFICATIONS = counter("llm_classifications_total", "Messages that a model was asked about.", ("result",))
PROMPT_FILE = "classify.txt"
# What compatible servers say to a `response_format` that they do not know.
REFUSING_STATUSES = frozenset({400, 422})

log = get_logger()


class ModelNotSet(FailedPrecondition):
    """There is no model to ask."""

    reason = "MODEL_NOT_SET"
    text = "no model is configured"


class ModelUnavailable(Unavailable):
    """The model failed, was too slow or gave no valid answer."""

    reason = "MODEL_UNAVAILABLE"
    text = "the model gave no valid answer in time"


class IntentModel:
    """A model that sorts messages.

    Args:
        chat: the model API, with the small limits of this task.
        model: the model's name.
        seconds: most time of one message, all calls together.
    """

    def __init__(self, chat: ChatModel, model: str, seconds: float) -> None:
        self._chat, self._model, self._seconds = chat, model, seconds
        self._knows_schema = True

    async def complete(self, messages: ChatMessages) -> Completion:
        """Return what the model writes; a server that refuses the schema is asked without it, then and from then on.

        Raises:
            ModelError: it did not answer.
        """
        with budget(self._seconds):
            if not self._knows_schema:
                return await self._chat.complete(self._model, messages)
            try:
                return await self._chat.complete(self._model, messages, RESPONSE_FORMAT)
            except ModelError as error:
                if error.failure is not Failure.FINAL or error.status not in REFUSING_STATUSES:
                    raise
            completion = await self._chat.complete(self._model, messages)
            # Only now is it known that the schema was what the server did not take.
            self._knows_schema = False
            return completion


@dataclass(frozen=True)
class MessageClassifier:
    """Sorts messages for the accounts of a library; `model` is None where no key is set."""

    library: Library
    model: IntentModel | None = None

    async def classify_message(self, account_id: str, message: UnsureMessage) -> tuple[Label, Generation]:
        """Return what a model says that a message wants, and how that came about.

        Raises:
            AccountNotFound: no account has the id.
            ProfileUnavailable: its profile cannot be used.
            ModelNotSet: no model is configured.
            ModelUnavailable: it failed, was too slow or gave no valid answer.
        """
        business = self.library.get(account_id)
        if self.model is None:
            raise ModelNotSet
        began = monotonic()
        try:
            completion = await self.model.complete(
                classification_messages(shipped_text(PROMPT_FILE), business.facts, message)
            )
        except ModelError:
            CLASSIFICATIONS.labels("failed").inc()
            raise ModelUnavailable from None
        label = parse_label(completion.text)
        CLASSIFICATIONS.labels("answered" if label else "invalid").inc()
        if label is None:
            log.warning("classification.rejected", account_id=account_id, finish_reason=completion.finish_reason)
            raise ModelUnavailable
        log.info("message.classified", account_id=account_id, model=completion.model, intent=label.intent)
        return label, _generation(completion, monotonic() - began)


def _generation(completion: Completion, seconds: float) -> Generation:
    return Generation(
        model=completion.model,
        usage=completion.usage,
        finish_reason=completion.finish_reason,
        model_seconds=seconds,
        model_calls=completion.calls,
    )
