"""The order in which an account's transports are tried, and the care that a repeated attempt needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import (
    FinalOutcome,
    Outcome,
    Reason,
    RetryLater,
    TellPerson,
    TryAnotherWay,
    Unclear,
    most_telling,
)

LEASE_SECONDS = 1.0


class Transport(Protocol):
    """One way to say something to a client."""

    @property
    def name(self) -> str:
        """The name under which an account lists it."""

    async def find(self, message: Message) -> Finding:
        """Return how far an earlier attempt got; an outcome when that is already decided or cannot be told.

        Raises:
            KommoRateLimited: the account has no request left; nothing was read.
        """

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Send the pieces that are missing after `progress`.

        Raises:
            KommoRateLimited: the account has no request left; nothing was sent.
        """


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a message, and the transport that decided it; empty when none did.

    Args:
        passed_over: why transports before that one did not take it.
    """

    outcome: FinalOutcome
    transport: str
    passed_over: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """The transports of one account, in its order.

    Args:
        transports: what can be used.
        closed: why the account's other transports cannot be.
        settle_seconds: how old an unclear attempt must be before its absence in Kommo's record counts.
        now: returns the time.
    """

    transports: Sequence[Transport]
    closed: Sequence[Reason]
    settle_seconds: float
    now: Callable[[], datetime]

    async def deliver(self, message: Message) -> Delivered:
        """Say a message by the first transport that takes it.

        An attempt before may have reached Kommo by any of them, so after one without a known outcome all are
        read before any sends.

        Raises:
            KommoRateLimited: the account has no request left; nothing was sent.
        """
        if message.unclear_since is None:
            return await self._send(message)
        for transport in self.transports:
            finding = await transport.find(message)
            if not isinstance(finding, Progress):
                return Delivered(repeated(finding), transport.name)
            if finding.pieces:
                return await self._continue(transport, message, finding)
        wait = self._unsettled_seconds(message.unclear_since)
        if wait > 0:
            return Delivered(Unclear(wait, Reason.NOT_SETTLED), "")
        delivered = await self._send(message)
        return replace(delivered, outcome=repeated(delivered.outcome))

    async def _send(self, message: Message) -> Delivered:
        reasons = list(self.closed)
        last = ""
        for transport in self.transports:
            if not message.may_start(self.now()):
                return Delivered(RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED), transport.name)
            outcome = await transport.send(message, NOTHING_SENT)
            if not isinstance(outcome, TryAnotherWay):
                return Delivered(outcome, transport.name, tuple(reasons))
            reasons.append(outcome.reason)
            last = transport.name
        return Delivered(TellPerson(most_telling(reasons)), last, tuple(reasons))

    async def _continue(self, transport: Transport, message: Message, progress: Progress) -> Delivered:
        return Delivered(repeated(await transport.send(message, progress)), transport.name)

    def _unsettled_seconds(self, since: datetime) -> float:
        return self.settle_seconds - (self.now() - since).total_seconds()


def repeated(outcome: Outcome) -> FinalOutcome:
    """Return an outcome as it stands for a message that may have reached Kommo before.

    "Kommo has not got it" would let the next attempt send without reading back, so it stays unclear.
    """
    match outcome:
        case RetryLater(after, reason):
            return Unclear(after, reason)
        case TryAnotherWay(reason):
            return TellPerson(reason)
        case _:
            return outcome
