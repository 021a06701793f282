"""What a model says that a burst wants, where the analysis of intent-service is unsure; it never costs the turn."""

from typing import TYPE_CHECKING

from gateway.worker import metrics
from gateway.worker.decisions import reason_text
from gateway.worker.steps import Steps
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.conversation.v1.conversation_pb2 import ModelClassification
from kommomesh.intent.v1.analysis_pb2 import (
    ESCALATION_REASON_HUMAN_REQUEST,
    INTENT_ESCALATION,
    INTENT_UNSPECIFIED,
    Analysis,
    Escalation,
    Intent,
    ScoredIntent,
)
from kommomesh.llm.v1.classification_pb2 import Classification
from kommomesh.llm.v1.reply_service_pb2 import ClassifyMessageRequest
from kommomesh_runtime.deadline import budget, time_left
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger

if TYPE_CHECKING:
    from kommomesh.llm.v1.reply_service_pb2_grpc import ReplyServiceAsyncStub

MOST_SECONDS = 3.0
# The reply needs the rest.
MOST_SHARE = 0.25
CALLS_PERSON_FROM = 0.8
MOST_RUNNERS_UP = 3
MATCHED = "model.classification"

log = get_logger()


def is_wanted(local: Analysis, threshold: float | None) -> bool:
    """Tell whether a model is to be asked: the intent is unsure, and no person is called anyway.

    Args:
        local: what intent-service says.
        threshold: confidence below which the account wants a model to be asked; None means never.
    """
    return threshold is not None and local.confidence < threshold and not local.escalation.should_escalate


async def asked(llm: "ReplyServiceAsyncStub", request: ClassifyMessageRequest, steps: Steps) -> Classification | None:
    """Return what the model says; None when it gave no usable answer within a small part of the time that is left.

    Args:
        llm: llm-service.
        request: what to ask.
        steps: takes the call as a step.
    """
    left = time_left()
    with steps.step("classify") as step, budget(MOST_SECONDS if left is None else min(MOST_SECONDS, left * MOST_SHARE)):
        try:
            answer = (await llm.ClassifyMessage(request)).classification
        except RemoteError as error:
            step.note = error.code.lower()
            metrics.CLASSIFICATIONS.labels("failed").inc()
            log.warning("classification.failed", code=error.code, reason=error.reason)
            return None
        step.note = "ok" if is_usable(answer) else "unusable"
    metrics.CLASSIFICATIONS.labels("answered" if is_usable(answer) else "failed").inc()
    return answer if is_usable(answer) else None


def is_usable(answer: Classification) -> bool:
    """Tell whether an answer names an intent that this release knows, with a confidence of 0 to 1."""
    is_known = answer.intent != INTENT_UNSPECIFIED and answer.intent in Intent.values()
    return is_known and 0 <= answer.confidence <= 1


def joined(local: Analysis, model: Classification, locale: str) -> tuple[Analysis, ModelClassification]:
    """Return the analysis that the turn goes by, and both opinions for the trace.

    The model's intent is taken unless the model is less sure than intent-service. Whether a person is needed stays
    the decision of intent-service, except where the model is sure that the client asks for one.

    Args:
        local: what intent-service says.
        model: what the model says; usable.
        locale: BCP 47 tag of the account, for the reason that its people read.
    """
    is_taken = model.confidence >= local.confidence
    opinions = ModelClassification(local_analysis=local, model=model, is_taken=is_taken)
    return (_with(local, model, locale) if is_taken else local), opinions


def _with(local: Analysis, model: Classification, locale: str) -> Analysis:
    taken = Analysis()
    taken.CopyFrom(local)
    taken.intent, taken.confidence = model.intent, model.confidence
    taken.ClearField("matched")
    taken.matched.append(MATCHED)
    taken.ClearField("runners_up")
    taken.runners_up.extend(_runners_up(local, model))
    if model.intent == INTENT_ESCALATION and model.confidence >= CALLS_PERSON_FROM:
        taken.escalation.CopyFrom(_human_request(locale))
    return taken


def _runners_up(local: Analysis, model: Classification) -> list[ScoredIntent]:
    likeliest = ScoredIntent(intent=local.intent, confidence=local.confidence)
    others = [one for one in (likeliest, *local.runners_up) if one.intent != model.intent]
    return others[:MOST_RUNNERS_UP]


def _human_request(locale: str) -> Escalation:
    return Escalation(
        should_escalate=True,
        reason_code=ESCALATION_REASON_HUMAN_REQUEST,
        reason=reason_text("human_request", locale),
        priority=common.PRIORITY_HIGH,
        matched=[MATCHED],
    )
