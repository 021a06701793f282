"""The turn loop: leases turns, has them decided, stores the outcome and delivers it at once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from gateway.worker import metrics
from gateway.worker.backoff import lease_seconds
from gateway.worker.delivery import Deliverer
from gateway.worker.failures import Kind, kind_of
from gateway.worker.leasing import Leasing
from gateway.worker.pace import Pace, keep_trying, unless
from gateway.worker.settings import WorkerSettings
from gateway.worker.steps import Steps
from gateway.worker.turn import Decided, Decider, PutOff
from gateway.worker.typing_shown import typing_shown
from kommomesh.conversation.v1.conversation_pb2 import TurnResult
from kommomesh.conversation.v1.turn_service_pb2 import (
    AbandonTurnRequest,
    AnswerDecision,
    CompleteTurnRequest,
    CompleteTurnResponse,
    EscalateDecision,
    LeasedTurn,
    LeaseTurnsRequest,
    NoAnswerDecision,
)
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.parsing import from_seconds

if TYPE_CHECKING:
    from kommomesh.conversation.v1.turn_service_pb2_grpc import TurnServiceAsyncStub

POLL_MARGIN_SECONDS = 5.0
LOST_REASONS = frozenset({"TURN_LEASE_LOST", "TURN_NOT_FOUND"})
WORKER_STOPPED = PutOff("worker_stopped", 0.0)

log = get_logger()


@dataclass(frozen=True, slots=True)
class TurnTaker:
    """Takes turns, each from its lease to the delivery of what it wrote.

    Args:
        turns: hands out turns and stores their outcomes.
        decider: decides them.
        deliverer: sends what a turn wrote.
        settings: settings of the worker.
        pace: when to rest and to stop.
        now: returns the time.
    """

    turns: "TurnServiceAsyncStub"
    decider: Decider
    deliverer: Deliverer
    settings: WorkerSettings
    pace: Pace
    now: Callable[[], datetime]

    async def lease(self, most: int) -> Sequence[LeasedTurn]:
        """Return at most so many turns that are due, waiting for some time when there are none."""
        wait = self.settings.lease_wait_seconds
        request = LeaseTurnsRequest(worker_id=self.settings.worker_id, max_turns=most, wait_duration=from_seconds(wait))
        response = await self.turns.LeaseTurns(request, timeout=wait + POLL_MARGIN_SECONDS)
        return response.turns

    async def take(self, turn: LeasedTurn) -> None:
        """Bring a turn to its end: completed, given back, or lost to another worker."""
        structlog.contextvars.bind_contextvars(turn_id=turn.turn_id, conversation_id=turn.conversation.id)
        steps = Steps(asyncio.get_running_loop().time)
        typing = typing_shown(self.deliverer.channels, self.decider.accounts, turn)
        with metrics.TURNS_IN_FLIGHT.track_inprogress():
            ends_at = steps.seconds + lease_seconds(turn.lease_expire_time, self.now())
            async with typing:
                decided = await unless(self.pace.hurry, self.decider.decide(turn, steps)) or WORKER_STOPPED
            if isinstance(decided, PutOff):
                await self._abandon(turn, decided, steps)
                return
            response = await self._complete(turn, decided, steps, ends_at)
        for delivery in response.deliveries if response else ():
            await self.deliverer.deliver(delivery)

    async def _abandon(self, turn: LeasedTurn, put_off: PutOff, steps: Steps) -> None:
        request = AbandonTurnRequest(
            turn_id=turn.turn_id, reason=put_off.reason, retry_after=from_seconds(put_off.retry_after)
        )
        metrics.TURN_SECONDS.labels("abandoned").observe(steps.seconds)
        log.info("turn.abandoned", reason=put_off.reason, retry_after=round(put_off.retry_after, 1))
        try:
            await self.turns.AbandonTurn(request)
        except RemoteError as error:
            # Its lease ends by itself; then the turn comes again.
            log.warning("turn_abandon.failed", code=error.code, reason=error.reason)

    async def _complete(
        self, turn: LeasedTurn, decided: Decided, steps: Steps, ends_at: float
    ) -> CompleteTurnResponse | None:
        """Store the outcome, for as long as the lease lasts; None when that did not succeed.

        An outcome that is refused for good is not decided again when the lease ends: a person is called now.
        """

        async def call() -> CompleteTurnResponse:
            worker_id = self.settings.worker_id if self.deliverer.is_ready_in_place else ""
            return await self.turns.CompleteTurn(complete_request(turn, decided, steps, worker_id))

        try:
            response = await keep_trying(call, seconds=ends_at - steps.seconds, pace=self.pace)
        except RemoteError as error:
            if is_refused(error) and not decided.is_last:
                log.error("turn_outcome.refused", code=error.code, reason=error.reason)
                return await self._complete(turn, self.decider.unusable(turn), steps, ends_at)
            self._lost(error, steps)
            return None
        result = TurnResult.Name(response.result).removeprefix("TURN_RESULT_").lower()
        metrics.TURN_SECONDS.labels(result).observe(steps.seconds)
        log.info("turn.completed", result=result, attempt=turn.attempt, seconds=round(steps.seconds, 3))
        return response

    def _lost(self, error: RemoteError, steps: Steps) -> None:
        """Note an outcome that could not be stored: another worker has the turn, or gets it when the lease ends."""
        if error.reason in LOST_REASONS:
            metrics.TURN_SECONDS.labels("lease_lost").observe(steps.seconds)
            log.warning("turn.lost", reason=error.reason)
            return
        metrics.TURN_SECONDS.labels("failed").observe(steps.seconds)
        metrics.ERRORS.labels("turns").inc()
        log.error("turn_complete.failed", code=error.code, reason=error.reason)


def is_refused(error: RemoteError) -> bool:
    """Tell whether it is the outcome that conversation-service does not take, whoever sends it and whenever."""
    return kind_of(error) is Kind.NEVER and error.reason not in LOST_REASONS


def complete_request(turn: LeasedTurn, decided: Decided, steps: Steps, worker_id: str) -> CompleteTurnRequest:
    """Return the request that stores the outcome of a turn.

    Args:
        turn: the turn.
        decided: its outcome.
        steps: what it did.
        worker_id: who sends the reply at once; empty for nobody.
    """
    decision = decided.decision
    return CompleteTurnRequest(
        turn_id=turn.turn_id,
        read_message_ids=[message.id for message in decided.read or turn.messages],
        answer=decision if isinstance(decision, AnswerDecision) else None,
        escalate=decision if isinstance(decision, EscalateDecision) else None,
        no_answer=decision if isinstance(decision, NoAnswerDecision) else None,
        analysis=decided.analysis,
        generation=decided.generation,
        steps=steps.done,
        worker_id=worker_id,
        classification=decided.classification,
        media=decided.findings,
    )


def turn_loop(taker: TurnTaker) -> Leasing[LeasedTurn]:
    """Return the loop that takes turns until the worker stops."""
    settings = taker.settings
    return Leasing(
        name="turns",
        lease=taker.lease,
        work=taker.take,
        limit=settings.max_turns_in_flight,
        early_seconds=min(0.5, settings.lease_wait_seconds / 2),
        pace=taker.pace,
    )
