"""Many workers that crash, come late and give back: every message still ends once, every delivery leaves once."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import func, select
from support.conversation_mesh import Mesh, answer, running_mesh, seconds, sent

from conversation_service.adapters.tables import DELIVERIES, DELIVERY_WORK, MESSAGES, TURN_WORK, TURNS
from kommomesh.conversation.v1 import conversation_pb2 as pb
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.handoff import HandoffSettings

CHATS = 200
WORKERS = 8
PATIENT = Account(
    id="12345",
    subdomain="test",
    requests_per_second=100_000,
    delivery_max_age_seconds=1e9,
    # What follows where nobody comes is due when all of this is over.
    handoff=HandoffSettings(person_reminder_after_seconds=0),
)
MESSAGES_TO_CLIENTS = (pb.DELIVERY_KIND_REPLY, pb.DELIVERY_KIND_NOTICE)
EXPIRED = ("TURN_LEASE_LOST", "DELIVERY_LEASE_LOST")


@dataclass
class FakeKommo:
    """What has reached the clients: by delivery, and by chat in the order of sending."""

    ids: dict[str, str] = field(default_factory=dict)
    sends: Counter = field(default_factory=Counter)
    chats: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    def send(self, leased) -> None:
        delivery = leased.delivery
        self.sends[delivery.id] += 1
        self.ids[delivery.id] = f"k-{len(self.ids)}"
        if delivery.kind in MESSAGES_TO_CLIENTS:
            self.chats[leased.chat_id].append((delivery.create_time.ToNanoseconds(), delivery.text))


@dataclass
class Worker:
    """One worker with a will of its own."""

    mesh: Mesh
    kommo: FakeKommo
    random: Random
    name: str

    async def work(self, done: asyncio.Event) -> None:
        while not done.is_set():
            for turn in await self.mesh.lease_turns(self.random.randint(1, 10), worker=self.name, wait=0.05):
                await self.tolerant(self.take(turn))
            for leased in await self.mesh.lease_deliveries(self.random.randint(1, 10)):
                await self.tolerant(self.deliver(leased))
            self.mesh.clock.advance(41 if self.random.random() < 0.03 else self.random.random())

    async def tolerant(self, step) -> None:
        try:
            await step
        except RemoteError as error:
            if error.reason not in EXPIRED:
                raise

    async def take(self, turn: turn_pb.LeasedTurn) -> None:
        fate = self.random.random()
        if turn.escalate_only:
            notice = turn_pb.EscalateDecision(reason_code="repeated_failure", is_failure=True, notice_parts=["ya va"])
            await self.mesh.complete(turn, escalate=notice)
        elif fate < 0.1:
            request = turn_pb.AbandonTurnRequest(turn_id=turn.turn_id, reason="tired", retry_after=seconds(1))
            await self.mesh.turns.AbandonTurn(request)
        elif fate < 0.2:
            return  # killed
        elif fate < 0.25:
            await self.mesh.complete(turn, no_answer=turn_pb.NoAnswerDecision(reason_code="thanks_only"))
        elif fate < 0.29:
            await self.mesh.complete(turn, escalate=turn_pb.EscalateDecision(reason_code="human_request"))
        else:
            parts = [f"{turn.turn_id} {part}" for part in range(self.random.randint(1, 3))]
            completed = await self.mesh.complete(turn, worker=self.name, answer=answer(*parts))
            for leased in completed.deliveries:
                await self.deliver(leased)

    async def deliver(self, leased) -> None:
        """Send as the contract wants it: nothing late, and nothing again that a look at the talk finds."""
        fate = self.random.random()
        if fate < 0.1:
            return  # killed before it was sent
        if leased.delivery.id not in self.kommo.ids:
            if leased.start_before_time.ToDatetime(tzinfo=UTC) < datetime.now(UTC) + self.mesh.clock.shift:
                await self.mesh.retry(leased)
                return
            if fate < 0.2:
                await self.mesh.retry(leased, unclear=fate < 0.15)
                return
            self.kommo.send(leased)
            if fate < 0.3:
                return  # killed after it was sent
        reported = await self.mesh.report(
            leased, worker=self.name if fate < 0.8 else "", sent=sent(self.kommo.ids[leased.delivery.id])
        )
        if reported.HasField("next"):
            await self.deliver(reported.next)


async def clients_write(mesh: Mesh, random: Random) -> None:
    """Three rounds of questions; meanwhile people take over some of the chats."""
    for round_ in range(3):
        ids = await asyncio.gather(
            *(mesh.client_writes(f"pregunta {round_}", chat=f"chat-{number}") for number in range(CHATS))
        )
        for conversation_id in random.sample(ids, 5):
            await mesh.take_over(conversation_id)


async def is_idle(mesh: Mesh) -> bool:
    """Tell whether no work is left but the looks for what was sent, which come later."""

    def left(connection, _now) -> int:
        sends = select(DELIVERY_WORK).where(DELIVERY_WORK.c.lane != "proof")
        tables = (TURN_WORK, sends.subquery())
        return sum(connection.scalar(select(func.count()).select_from(table)) for table in tables)

    return await mesh.store.read(left) == 0


@pytest.mark.parametrize("seed", [7])
async def test_given_workers_that_fail_at_random_when_all_is_done_then_each_message_ended_once(store, clock, seed):
    async with running_mesh(store, Accounts.of(PATIENT), clock, max_attempts=1000) as mesh:
        kommo, done = FakeKommo(), asyncio.Event()
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                worker = Worker(mesh, kommo, Random(seed + number), f"worker-{number}")
                group.create_task(worker.work(done))
            await clients_write(mesh, Random(seed))
            while not await is_idle(mesh):
                await asyncio.sleep(0.05)
            done.set()
        await check(mesh, kommo)


async def check(mesh: Mesh, kommo: FakeKommo) -> None:
    """Compare what Kommo got with what is stored."""

    def read(connection, _now):
        messages = connection.execute(select(MESSAGES)).all()
        deliveries = connection.execute(select(DELIVERIES).where(DELIVERIES.c.kind != "proof")).all()
        turns = connection.execute(select(TURNS)).all()
        return messages, deliveries, turns

    messages, deliveries, turns = await mesh.store.read(read)
    questions = [message for message in messages if message.role == "user"]
    assert len(questions) == 3 * CHATS
    assert [message.outcome for message in questions if message.outcome is None] == []
    endings = Counter(key for turn in turns if turn.result in ("answered", "not_answered") for key in turn.message_ids)
    assert max(endings.values()) == 1
    assert {delivery.state for delivery in deliveries} <= {"sent", "dropped"}
    said = Counter(str(message.delivery_id) for message in messages if message.role == "assistant")
    assert max(said.values()) == max(kommo.sends.values()) == 1
    assert said.keys() == {str(one.id) for one in deliveries if one.state == "sent" and one.lane == "message"}
    assert said.keys() <= kommo.sends.keys()
    assert all(order == sorted(order, key=lambda entry: entry[0]) for order in kommo.chats.values())
    packages = Counter((one.conversation_id, one.lane, one.floor_number) for one in deliveries if one.lane != "message")
    assert max(packages.values()) == 1
    assert {lane for _, lane, _ in packages} == {"note", "task"}
    by_turn = {str(one.turn_id) for one in deliveries if one.state == "sent"}
    answered = [message for message in questions if message.outcome == "answered"]
    assert len(answered) > CHATS
    assert {str(message.turn_id) for message in answered} <= by_turn
