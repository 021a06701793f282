"""The leasing loop alone: how it rests, counted in calls and not in time."""

import asyncio

import pytest

from gateway.worker.backoff import backoff_seconds
from gateway.worker.leasing import Leasing
from gateway.worker.pace import Pace, keep_trying, unless
from kommomesh_runtime.errors import RemoteError


class Rests:
    """Notes each rest instead of taking it; after so many it stops the worker."""

    def __init__(self, stop, most):
        self.seconds = []
        self._stop, self._most = stop, most

    async def __call__(self, event, seconds):
        self.seconds.append(seconds)
        if len(self.seconds) == self._most:
            self._stop.set()
        await asyncio.sleep(0)


def leasing(lease, work=None, *, rests=6, limit=4, early_seconds=0.5):
    stop = asyncio.Event()
    noted = Rests(stop, rests)

    async def ignore(piece):
        pass

    pace = Pace(stop=stop, hurry=asyncio.Event(), draw=lambda: 1.0, rest=noted)
    return Leasing("test", lease, work or ignore, limit, early_seconds, pace), noted


@pytest.mark.parametrize("error", [RemoteError("UNAVAILABLE"), RemoteError("INTERNAL"), ValueError("a bug")])
async def test_given_service_down_when_leasing_then_one_rest_a_call_and_each_longer(error):
    calls = 0

    async def lease(most):
        nonlocal calls
        calls += 1
        raise error

    loop, rests = leasing(lease)
    await loop.run()
    assert calls == 6
    assert rests.seconds == sorted(set(rests.seconds))
    assert rests.seconds == [backoff_seconds(number, 1.0) for number in range(1, 7)]


async def test_given_empty_answers_that_come_at_once_when_leasing_then_one_rest_a_call():
    calls = 0

    async def lease(most):
        nonlocal calls
        calls += 1
        return ()

    loop, rests = leasing(lease)
    await loop.run()
    assert calls == len(rests.seconds) == 6


async def test_given_work_after_failures_when_leased_then_backoff_begins_anew():
    answers = [RemoteError("UNAVAILABLE"), RemoteError("UNAVAILABLE"), ["piece"], RemoteError("UNAVAILABLE")]
    done = []

    async def lease(most):
        answer = answers.pop(0)
        if isinstance(answer, RemoteError):
            raise answer
        return answer

    async def work(piece):
        done.append(piece)

    loop, rests = leasing(lease, work, rests=3)
    await loop.run()
    assert done == ["piece"]
    assert rests.seconds == [backoff_seconds(1, 1.0), backoff_seconds(2, 1.0), backoff_seconds(1, 1.0)]


async def test_given_full_slots_when_leasing_then_asked_only_for_what_is_free():
    asked = []
    go = asyncio.Event()

    async def lease(most):
        asked.append(most)
        if len(asked) > 4:
            loop.pace.stop.set()
            return ()
        return ["piece"] * min(most, 3)

    async def work(piece):
        await go.wait()

    loop, _ = leasing(lease, work, limit=4)
    task = asyncio.create_task(loop.run())
    while len(asked) < 2:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert asked == [4, 1]
    go.set()
    await task
    assert all(1 <= most <= 4 for most in asked)


async def test_given_stop_while_leasing_when_answer_has_come_too_then_it_is_still_taken():
    done = []

    async def lease(most):
        loop.pace.stop.set()
        return ["piece"]

    async def work(piece):
        done.append(piece)

    loop, _ = leasing(lease, work)
    await loop.run()
    assert done == ["piece"]


async def test_given_event_when_work_goes_on_then_work_ended_and_none_returned():
    event, ended = asyncio.Event(), asyncio.Event()

    async def work():
        try:
            event.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert await unless(event, work()) is None
    assert ended.is_set()


async def test_given_work_that_fails_when_no_event_then_its_error_raised():
    async def work():
        raise RemoteError("UNAVAILABLE")

    with pytest.raises(RemoteError):
        await unless(asyncio.Event(), work())


@pytest.mark.parametrize(("code", "calls"), [("FAILED_PRECONDITION", 1), ("UNAVAILABLE", 4)])
async def test_given_failing_call_when_kept_trying_then_given_up_when_useless_or_hurried(code, calls):
    hurry = asyncio.Event()
    made = 0

    async def call():
        nonlocal made
        made += 1
        raise RemoteError(code)

    pace = Pace(stop=asyncio.Event(), hurry=hurry, draw=lambda: 0.0, rest=Rests(hurry, 3))
    with pytest.raises(RemoteError):
        await keep_trying(call, seconds=60, pace=pace)
    assert made == calls


async def test_given_lease_over_when_kept_trying_then_one_attempt_only():
    made = 0

    async def call():
        nonlocal made
        made += 1
        raise RemoteError("UNAVAILABLE")

    pace = Pace(stop=asyncio.Event(), hurry=asyncio.Event(), draw=lambda: 0.0)
    with pytest.raises(RemoteError):
        await keep_trying(call, seconds=0, pace=pace)
    assert made == 1
