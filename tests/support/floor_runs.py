"""Random runs of one conversation in which people, Kommo's news and crashes race a reply in flight.

A run takes its steps, each of them one transaction, from a few actors: the client, the company's people, Kommo, which
reflects what was sent, and two workers. Which one comes next, and what it does, is drawn by the run's seed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from sqlalchemy import delete
from support.floor_facts import Facts, Mark
from support.floor_line import ACCOUNT, Line, Shift

from conversation_service.adapters.conversations import find_by_chat
from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.outbox_rows import newest_deliveries
from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import DELIVERY_WORK, TURN_WORK
from conversation_service.domain.conversation import Conversation, Role
from conversation_service.domain.deliveries import DeliveryKind, DeliveryState, Sent
from conversation_service.domain.echoes import ECHO_WITHIN
from conversation_service.domain.floor import Priority, Status
from conversation_service.domain.ingest import ClientMessage, CompanyMessage, Content, Item, TalkEvent
from conversation_service.domain.turns import Answer, Escalate, NoAnswer, TurnLeaseLost
from conversation_service.use_cases.completion import Completion
from conversation_service.use_cases.floor import FloorUseCases
from conversation_service.use_cases.ingest import IngestUseCases
from conversation_service.use_cases.outbox import OutboxUseCases
from conversation_service.use_cases.queries import QueryUseCases
from conversation_service.use_cases.turns import LeasedTurn, TurnUseCases
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.errors import FailedPrecondition

ACCOUNTS = Accounts.of(ACCOUNT)
RESUME = timedelta(seconds=ACCOUNT.resume_after_seconds)
FAILURE_RESUME = timedelta(seconds=ACCOUNT.failure_resume_after_seconds)
TAKING = ("writes", "phone", "take_over", "take_over", "escalate")
GIVING = ("release", "release", "close", "resolve")
MESSAGES = (DeliveryKind.REPLY, DeliveryKind.NOTICE)
Steps = AsyncIterator[None]


@dataclass
class Run:
    """One conversation, everybody in it, and what was seen.

    Args:
        seed: draws everything.
        store: the database.
        shift: moves its clock.
        at_once: everybody goes as fast as they can, instead of one step after the other in the drawn order.
    """

    seed: int
    store: Store
    shift: Shift
    facts: Facts = field(default_factory=Facts)
    figures: Counter[str] = field(default_factory=Counter)
    number: int = 0
    at_once: bool = False

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.chat = f"floor-{self.seed}-{uuid4().hex[:6]}"
        self.line = Line(self.chat, self.random, self.store, self.shift, self.facts, self.figures)
        self.ingest = IngestUseCases(self.store, ACCOUNTS, limit_seconds=30)
        self.floor = FloorUseCases(self.store, ACCOUNTS, new_id=self._uuid)
        self.turns = TurnUseCases(self.store, ACCOUNTS, new_id=self._uuid)
        self.outbox = OutboxUseCases(self.store, ACCOUNTS, random=self.random.random, new_id=self._uuid)
        self.queries = QueryUseCases(self.store)

    async def play(self) -> None:
        """Play the run to its end."""
        actors = [self._client(), self._people(), self._reflections(), self._worker("w1"), self._worker("w2")]
        await (asyncio.gather(*map(self._as_fast_as_can, actors)) if self.at_once else self._one_by_one(actors))
        await self._drain()
        await self.ingest.aclose()
        await self._leave()
        if await self._undecided():
            self.facts.violations.append("a client message was never decided")
        self.facts.judge()

    async def _as_fast_as_can(self, actor: Steps) -> None:
        async for _ in actor:
            # A step of doing nothing takes as long as one that does something.
            await self.now()

    async def _one_by_one(self, actors: list[Steps]) -> None:
        while actors:
            actor = self.random.choice(actors)
            try:
                await anext(actor)
            except StopAsyncIteration:
                actors.remove(actor)

    async def now(self) -> datetime:
        """Return the time by the store's clock."""
        return await self.store.read(lambda _, now: now)

    async def _conversation(self) -> Conversation | None:
        return await self.store.read(lambda connection, _: find_by_chat(connection, ACCOUNT.id, self.chat))

    def _uuid(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def _next_id(self, kind: str) -> str:
        self.number += 1
        return f"{self.chat}-{kind}-{self.number}"

    async def _store(self, item: Item) -> None:
        await self.ingest.ingest([item])

    async def _client(self) -> Steps:
        for _ in range(self.random.randint(4, 8)):
            await self._client_writes()
            for _ in range(self.random.randint(1, 8)):
                yield
            if self.random.random() < 0.08:
                self.shift.advance(self.random.choice((FAILURE_RESUME, RESUME)))

    async def _client_writes(self) -> None:
        before = await self._conversation()
        mark = self.facts.begin()
        message_id = self._next_id("m")
        await self._store(Item(ACCOUNT.id, self.chat, ClientMessage(Content(message_id, message_id)), talk_id="71"))
        found = await self._conversation()
        if before is not None and found is not None and not before.floor.is_with_bot and found.floor.is_with_bot:
            self.facts.given_back(mark, "resume")

    async def _people(self) -> Steps:
        for _ in range(self.random.randint(2, 5)):
            for _ in range(self.random.randint(2, 14)):
                yield
            await self._person_acts(self.random.choice(TAKING))
            # Given back at once or after a while, so that what waited meets a bot that has the floor again.
            for _ in range(self.random.randint(0, 4)):
                yield
            if self.random.random() < 0.8:
                await self._person_acts(self.random.choice(GIVING))
                yield

    async def _person_acts(self, act: str) -> None:
        self.figures[act] += 1
        found = await self._conversation()
        if act in ("writes", "phone"):
            await self._person_writes(act, found)
        elif found is not None and act == "close":
            mark = self.facts.begin()
            await self._store(Item(ACCOUNT.id, self.chat, TalkEvent(is_closed=True), await self.now(), talk_id="71"))
            after = await self._conversation()
            if after is not None and after.floor.is_with_bot:
                self.facts.given_back(mark, act)
        elif found is not None:
            await self._asks(act, found)

    async def _person_writes(self, act: str, found: Conversation | None) -> None:
        mark = self.facts.begin()
        message_id, author = self._next_id("p"), "" if act == "phone" else "Eva"
        released = found.floor.released_at if found else None
        is_late = released is not None and self.random.random() < 0.25
        at = released - timedelta(seconds=2) if released is not None and is_late else None
        event = CompanyMessage(Content(message_id, f"soy {message_id}"), is_person=True, author_name=author)
        await self._store(Item(ACCOUNT.id, self.chat, event, at))
        if not is_late:
            self.facts.taken(mark, act)

    async def _asks(self, act: str, found: Conversation) -> None:
        request_id, mark = self._uuid(), self.facts.begin()
        try:
            if act == "take_over":
                await self.floor.take_over(found.id, request_id, "Eva")
                self.facts.taken(mark, act)
            elif act == "escalate":
                await self.floor.escalate(found.id, request_id, "asked", Priority.HIGH)
                self.facts.called(mark, act)
            elif act == "release":
                await self.floor.release_to_bot(found.id, request_id)
                self.facts.given_back(mark, act)
            else:
                await self.floor.resolve(found.id, request_id)
                self.facts.given_back(mark, act)
        except FailedPrecondition:
            self.figures["refused"] += 1

    async def _reflections(self) -> Steps:
        quiet = 0
        while quiet < 80:
            if self.line.echoes:
                await self._reflect(*self.line.echoes.pop(self.random.randrange(len(self.line.echoes))))
                quiet = 0
            quiet += 1
            yield

    async def _reflect(self, echo: Item, sent_at: datetime) -> None:
        before = await self._conversation()
        await self._store(echo)
        after = await self._conversation()
        self.figures["echoes"] += 1
        if self.at_once or before is None or after is None or await self.now() - sent_at > ECHO_WITHIN:
            return
        if after.floor != before.floor:
            self.facts.violations.append("an echo changed the floor")

    async def _worker(self, name: str) -> Steps:
        for _ in range(self.random.randint(12, 20)):
            steps = self._turn(name) if self.random.random() < 0.6 else self._deliveries(self.random.randint(1, 3))
            async for _ in steps:
                yield
            yield

    async def _turn(self, name: str) -> Steps:
        mark = self.facts.begin()
        leased = await self.turns.lease_turns(name, 1, 0, asyncio.Event())
        mark.end()
        for turn in leased:
            yield
            if self.random.random() < 0.1:
                # Killed while it thought.
                self.shift.advance(timedelta(seconds=41))
                return
            async for _ in self._complete(turn, mark, name):
                yield

    async def _complete(self, turn: LeasedTurn, leased: Mark, name: str) -> Steps:
        self.shift.advance(timedelta(seconds=self.random.choice((0, 1, 4))))
        read = frozenset(message.id for message in turn.messages)
        decision = self._decision()
        worker_id = name if self.random.random() < 0.7 else ""
        mark = self.facts.begin()
        try:
            done = await self.turns.complete_turn(Completion(turn.turn.id, read, decision, worker_id=worker_id))
        except TurnLeaseLost:
            self.figures["turns lost"] += 1
            return
        self.figures[f"turns {done.result}"] += 1
        self.facts.wrote(turn.turn.id, leased, mark)
        if done.result == "escalated":
            self.facts.called(mark, "turn")
        mark.end()
        for delivery in done.deliveries:
            yield
            async for _ in self._deliver(delivery, mark, name):
                yield

    def _decision(self) -> Answer | Escalate | NoAnswer:
        drawn, name = self.random.random(), self._next_id("r")
        if drawn < 0.75:
            return Answer(tuple(f"respuesta {name} {part}" for part in range(self.random.randint(1, 2))))
        if drawn < 0.95:
            return Escalate("human_request", "asked", "high", drawn > 0.9, (f"aviso {name}",))
        return NoAnswer("nothing_to_say")

    async def _deliveries(self, most: int) -> Steps:
        mark = self.facts.begin()
        leased = await self.outbox.lease_deliveries(most, 0, asyncio.Event())
        mark.end()
        for delivery in leased:
            yield
            async for _ in self._deliver(delivery, mark, "w3" if self.random.random() < 0.5 else ""):
                yield

    async def _deliver(self, first: Leased, mark: Mark, worker_id: str) -> Steps:
        held: Leased | None = first
        while held is not None:
            # Under way: leased, and not begun yet.
            for _ in range(self.random.randint(0, 5)):
                yield
            report = await self.line.send(held, mark) if held.delivery.kind in MESSAGES else Sent("rest", ("1",))
            yield
            if report is None:
                return
            mark = self.facts.begin()
            try:
                reported = await self.outbox.report_delivery(held.delivery.id, held.lease_id, report, worker_id)
            except FailedPrecondition:
                self.figures["leases lost"] += 1
                return
            finally:
                mark.end()
            if reported.delivery.state is DeliveryState.DEAD:
                self.facts.called(mark, "failure")
            held = reported.next
            yield

    async def _drain(self) -> None:
        """Let workers go on in peace until nothing is left to decide."""
        for _ in range(60):
            self.shift.advance(timedelta(seconds=61))
            await _exhaust(self._turn("w1"))
            await _exhaust(self._deliveries(10))
            if await self._undecided() == 0:
                return

    async def _leave(self) -> None:
        """Count what was dropped, look at counters and status, and leave no work behind that a later run would meet."""
        found = await self._conversation()
        if found is None:
            return
        kept = await self.store.read(lambda connection, _: newest_deliveries(connection, found.id, 100))
        self.figures["dropped"] += sum(one.state is DeliveryState.DROPPED for one in kept)
        roles = Counter(one.role for one in (await self.queries.list_messages(found.id, 500, None)).rows)
        counted = (found.message_count, found.user_message_count, found.bot_message_count)
        if counted != (roles.total(), roles[Role.USER], roles[Role.ASSISTANT]):
            self.facts.violations.append("the counters are not those of the messages stored")
        if (found.floor.status is Status.ESCALATED) == found.floor.is_with_bot:
            self.facts.violations.append("the status does not follow the floor")
        for table in (TURN_WORK, DELIVERY_WORK):
            gone = delete(table).where(table.c.conversation_id == found.id)
            await self.store.write(lambda connection, _, gone=gone: connection.execute(gone).rowcount)

    async def _undecided(self) -> int:
        found = await self._conversation()
        if found is None:
            return 0
        page = await self.queries.list_messages(found.id, 200, None)
        return sum(message.role is Role.USER and message.outcome is None for message in page.rows)


async def _exhaust(steps: Steps) -> None:
    async for _ in steps:
        pass
