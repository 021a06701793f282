"""Stopping, limits and outages: what a worker holds is finished or given back, and nobody is called in a hot loop."""

import asyncio

from support.worker_peers import LIMIT_SECONDS, failing

from gateway.worker.main import run_worker
from gateway.worker.settings import WorkerSettings
from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1.turn_service_pb2 import CompleteTurnResponse, LeaseTurnsResponse


class Gate:
    """Lets a peer's method wait until the test lets it answer."""

    def __init__(self, answers):
        self.usual = answers.usual
        self.go = asyncio.Event()
        self.waiting = 0
        self.most = 0
        answers.usual = self._answer

    async def _answer(self, request):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.go.wait()
        self.waiting -= 1
        return self.usual


async def test_given_turn_in_flight_when_stopped_then_finished_and_nothing_more_leased(peers, running_worker, new_turn):
    gate = Gate(peers.replies.replies)
    peers.turns.due.put_nowait(new_turn())
    async with running_worker() as stop:
        await peers.replies.replies.seen(1)
        stop.set()
        leases = len(peers.turns.leases.requests)
        gate.go.set()
        (completed,) = await peers.turns.completions.seen(1)
    assert completed.WhichOneof("decision") == "answer"
    assert completed.worker_id == ""
    assert len(peers.turns.leases.requests) == leases
    assert not peers.turns.abandons.requests


async def test_given_turn_that_does_not_end_when_stopped_then_given_back(peers, running_worker, new_turn):
    Gate(peers.replies.replies)
    turn = new_turn()
    peers.turns.due.put_nowait(turn)
    async with running_worker(grace_seconds=0.0) as stop:
        await peers.replies.replies.seen(1)
        stop.set()
        (abandoned,) = await peers.turns.abandons.seen(1)
    assert (abandoned.turn_id, abandoned.reason) == (turn.turn_id, "worker_stopped")
    assert abandoned.retry_after.ToMilliseconds() == 0
    assert not peers.turns.completions.requests


async def test_given_send_that_does_not_end_when_stopped_then_reported_unclear(peers, running_worker, new_delivery):
    Gate(peers.kommo.sends)
    peers.outbox.due.put_nowait(new_delivery())
    async with running_worker(grace_seconds=0.0) as stop:
        await peers.kommo.sends.seen(1)
        stop.set()
        (report,) = await peers.outbox.reports.seen(1)
    assert (report.retry.reason, report.retry.is_unclear, report.worker_id) == ("worker_stopped", True, "")


async def test_given_next_bubble_when_stopped_meanwhile_then_only_the_first_is_sent(
    peers, running_worker, new_turn, new_delivery
):
    gate = Gate(peers.kommo.sends)
    gate.usual = peers.kommo._sent(type("Request", (), {"delivery_id": "d"}))
    peers.turns.completions.usual = CompleteTurnResponse(
        result=conv.TURN_RESULT_ANSWERED, deliveries=[new_delivery("uno")]
    )
    peers.turns.due.put_nowait(new_turn())
    async with running_worker() as stop:
        await peers.kommo.sends.seen(1)
        stop.set()
        gate.go.set()
        (report,) = await peers.outbox.reports.seen(1)
    assert report.WhichOneof("report") == "sent"
    assert report.worker_id == ""


async def test_given_cancelled_worker_when_a_turn_is_in_flight_then_it_ends(peers, accounts_dir, new_turn):
    Gate(peers.replies.replies)
    peers.turns.due.put_nowait(new_turn())
    at = peers.address
    settings = WorkerSettings(
        accounts_dir=accounts_dir, conversation_address=at, intent_address=at, llm_address=at, kommo_address=at
    )
    task = asyncio.create_task(run_worker(settings, asyncio.Event()))
    await peers.replies.replies.seen(1)
    task.cancel()
    async with asyncio.timeout(LIMIT_SECONDS):
        await asyncio.wait((task,))
    assert task.cancelled()
    assert not peers.turns.completions.requests


async def test_given_hundreds_of_turns_when_taken_then_at_once_up_to_the_limit(peers, running_worker, new_turn):
    gate = Gate(peers.replies.replies)
    for _ in range(250):
        peers.turns.due.put_nowait(new_turn())
    async with running_worker(max_turns_in_flight=150):
        await peers.replies.replies.seen(150)
        assert peers.turns.due.qsize() == 100
        gate.go.set()
        await peers.turns.completions.seen(250)
    assert gate.most == 150
    assert max(request.max_turns for request in peers.turns.leases.requests) == 64


async def test_given_turn_that_breaks_the_worker_when_taken_then_others_go_on(peers, running_worker, new_turn):
    broken, sound = new_turn(), new_turn()
    broken.waiting_since_time.seconds = 10**15  # no calendar has that time
    peers.intents.analyses.queued.append(failing("UNAVAILABLE"))
    peers.intents.analyses.queued.extend([failing("UNAVAILABLE")] * 2)  # the channel tries three times
    peers.turns.due.put_nowait(broken)
    async with running_worker():
        await peers.intents.analyses.seen(3)
        peers.turns.due.put_nowait(sound)
        (completed,) = await peers.turns.completions.seen(1)
    assert completed.turn_id == sound.turn_id
    assert not peers.turns.abandons.requests


async def test_given_leases_fail_when_service_is_back_then_turns_taken(peers, running_worker, new_turn):
    peers.turns.leases.queued.extend([failing("UNAVAILABLE"), failing("INTERNAL"), LeaseTurnsResponse()])
    peers.turns.due.put_nowait(new_turn())
    async with running_worker():
        await peers.turns.completions.seen(1)
    assert len(peers.turns.leases.requests) >= 4


async def test_given_no_service_at_all_when_stopped_then_ends(accounts_dir, running_worker, peers):
    async with running_worker(conversation_address="dns:///127.0.0.1:1"):
        pass
    assert not peers.turns.leases.requests
