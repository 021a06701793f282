"""The order of transports, and what a repeated attempt may and may not do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import (
    FinalOutcome,
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    Unclear,
)
from kommo_service.domain.route import Delivered, Route

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
MESSAGE = Message("d1", "12345", "chat-1", "Hola")
REPEAT = replace(MESSAGE, unclear_since=NOON - timedelta(seconds=10))
QUOTA = TryAnotherWay(Reason.QUOTA_USED_UP)


@dataclass
class Way:
    """A transport whose answers a test chooses."""

    name: str
    outcome: Outcome
    finding: Finding = NOTHING_SENT
    sends: list[Progress] = field(default_factory=list)
    reads: int = 0

    async def find(self, message: Message) -> Finding:
        self.reads += 1
        return self.finding

    async def send(self, message: Message, progress: Progress) -> Outcome:
        self.sends.append(progress)
        return self.outcome


@pytest.fixture
def route() -> Callable[..., Route]:
    def make(*ways: Way, closed: tuple[Reason, ...] = (), settle: float = 2.0) -> Route:
        return Route(ways, closed, settle, lambda: NOON)

    return make


async def test_given_two_transports_when_the_first_takes_it_then_the_second_is_not_asked(
    route: Callable[..., Route],
) -> None:
    first, second = Way("a", Sent(("1",))), Way("b", Sent(("2",)))
    assert await route(first, second).deliver(MESSAGE) == Delivered(Sent(("1",)), "a")
    assert second.sends == []
    assert first.reads == 0


async def test_given_a_transport_that_cannot_when_another_can_then_that_one_sends(route: Callable[..., Route]) -> None:
    delivered = await route(Way("a", QUOTA), Way("b", Sent(("2",)))).deliver(MESSAGE)
    assert delivered == Delivered(Sent(("2",)), "b", passed_over=(Reason.QUOTA_USED_UP,))


@pytest.mark.parametrize(
    "outcome", [RetryLater(1, Reason.RATE_LIMITED), Unclear(5, Reason.TIMEOUT), TellPerson(Reason.TALK_CLOSED)]
)
async def test_given_an_outcome_that_decides_when_reached_then_no_other_transport_is_tried(
    route: Callable[..., Route], outcome: FinalOutcome
) -> None:
    second = Way("b", Sent(()))
    assert await route(Way("a", outcome), second).deliver(MESSAGE) == Delivered(outcome, "a")
    assert second.sends == []


async def test_given_no_transport_that_can_when_delivered_then_a_person_is_told_the_most_telling_reason(
    route: Callable[..., Route],
) -> None:
    ways = Way("a", QUOTA), Way("b", TryAnotherWay(Reason.NOT_OWN_CHANNEL))
    delivered = await route(*ways, closed=(Reason.TOKEN_MISSING,)).deliver(MESSAGE)
    assert delivered.outcome == TellPerson(Reason.QUOTA_USED_UP)


async def test_given_no_transport_at_all_when_delivered_then_a_person_is_told(route: Callable[..., Route]) -> None:
    assert (await route().deliver(MESSAGE)).outcome == TellPerson(Reason.NO_TRANSPORT)
    assert (await route(closed=(Reason.OAUTH_UNSUPPORTED,)).deliver(MESSAGE)).outcome == TellPerson(
        Reason.OAUTH_UNSUPPORTED
    )


async def test_given_a_lease_that_ended_when_delivered_then_nothing_starts_and_it_is_not_unclear(
    route: Callable[..., Route],
) -> None:
    way = Way("a", Sent(()))
    late = replace(MESSAGE, start_before=NOON)
    assert (await route(way).deliver(late)).outcome == RetryLater(1.0, Reason.LEASE_ENDED)
    assert way.sends == []


async def test_given_an_unclear_attempt_when_repeated_then_every_transport_is_read_before_any_sends(
    route: Callable[..., Route],
) -> None:
    first, second = Way("a", Sent(("1",))), Way("b", Sent(()), finding=Sent(("2",), True))
    assert await route(first, second).deliver(REPEAT) == Delivered(Sent(("2",), True), "b")
    assert (first.reads, first.sends, second.sends) == (1, [], [])


async def test_given_an_unclear_attempt_that_left_a_part_when_repeated_then_the_same_transport_goes_on(
    route: Callable[..., Route],
) -> None:
    first, second = Way("a", Sent(("1",))), Way("b", QUOTA, finding=Progress(("2",), 1))
    assert (await route(first, second).deliver(REPEAT)).outcome == TellPerson(Reason.QUOTA_USED_UP)
    assert first.sends == []
    assert second.sends == [Progress(("2",), 1)]


async def test_given_a_read_back_that_fails_when_repeated_then_nothing_is_sent(route: Callable[..., Route]) -> None:
    way = Way("a", Sent(()), finding=Unclear(5, Reason.TIMEOUT))
    assert (await route(way).deliver(REPEAT)).outcome == Unclear(5, Reason.TIMEOUT)
    assert way.sends == []


async def test_given_an_attempt_too_young_to_show_up_when_not_found_then_it_stays_unclear(
    route: Callable[..., Route],
) -> None:
    way = Way("a", Sent(()))
    young = replace(MESSAGE, unclear_since=NOON - timedelta(seconds=0.5))
    assert (await route(way).deliver(young)).outcome == Unclear(1.5, Reason.NOT_SETTLED)
    assert way.sends == []


async def test_given_an_attempt_that_is_nowhere_when_repeated_then_it_is_sent(route: Callable[..., Route]) -> None:
    assert (await route(Way("a", Sent(("1",)))).deliver(REPEAT)).outcome == Sent(("1",))


async def test_given_a_repeat_that_has_to_wait_when_told_then_it_stays_unclear(route: Callable[..., Route]) -> None:
    limited = Way("a", RetryLater(3, Reason.RATE_LIMITED))
    assert (await route(limited).deliver(REPEAT)).outcome == Unclear(3, Reason.RATE_LIMITED)
    late = replace(REPEAT, start_before=NOON)
    assert (await route(Way("a", Sent(()))).deliver(late)).outcome == Unclear(1.0, Reason.LEASE_ENDED)
