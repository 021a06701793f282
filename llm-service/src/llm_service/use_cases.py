"""Writing a reply: from the business's data alone, or with a model that is watched by guards."""

from dataclasses import dataclass

from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.telemetry import counter
from llm_service.adapters.library import Business, Library
from llm_service.domain.data_replies import MODEL_NAME, reply_from_data
from llm_service.domain.values import Generation, Handover, Outcome, Question
from llm_service.model_replies import ModelWriter, reply_of_data

REPLIES = counter("llm_replies_total", "Replies written, by who wrote them and how they ended.", ("writer", "result"))

log = get_logger()


@dataclass(frozen=True)
class ReplyWriter:
    """Writes replies for the accounts of a library; `model` is None where no key is set."""

    library: Library
    model: ModelWriter | None = None

    async def generate_reply(self, account_id: str, question: Question) -> Outcome:
        """Return a reply to a burst, or why a person is needed.

        Raises:
            AccountNotFound: no account has the id.
            ProfileUnavailable: its profile cannot be used.
        """
        business = self.library.get(account_id)
        outcome = await self._written(business, question)
        ended = "person" if isinstance(outcome.result, Handover) else "reply"
        writer = MODEL_NAME if outcome.generation.model == MODEL_NAME else "model"
        REPLIES.labels(writer, ended).inc()
        log.info(
            "reply.written",
            account_id=account_id,
            model=outcome.generation.model,
            result=ended,
            rows=len(outcome.generation.rows),
            model_calls=outcome.generation.model_calls,
            guards_failed=[v.guard for v in outcome.generation.verdicts if not v.passed],
        )
        return outcome

    async def _written(self, business: Business, question: Question) -> Outcome:
        if self.model is None or not any(said.text.strip() for said in question.burst):
            data = reply_from_data(question, business.knowledge, business.voice)
            return Outcome(reply_of_data(data, business), Generation(model=MODEL_NAME, rows=data.rows))
        return await self.model.write(business, question)
