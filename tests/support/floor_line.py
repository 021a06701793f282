"""Kommo and the way to it in a random run: what is begun, what gets lost, and what Kommo reflects."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from support.floor_facts import Facts, Mark, Started

from conversation_service.adapters.delivery_lease import Leased
from conversation_service.adapters.store import Store
from conversation_service.domain.deliveries import LEASE, Failed, Report, Retry, Sent
from conversation_service.domain.ingest import CompanyMessage, Content, Item
from kommo_service.domain.message import Message
from kommomesh_runtime.accounts import Account

ACCOUNT = Account(id="12345", subdomain="test", quiet_seconds=0, requests_per_second=1000)
# Mostly at once; else within and after the time in which a send may begin, and beyond the lease.
DELAYS = (*(0.0,) * 6, 0.4, 4.9, 5.1, 31.0)
FATES = (*("sent",) * 6, "timeout_after", "timeout_before", "refused", "later", "died_after")


@dataclass(slots=True)
class Shift:
    """How far the clock of the store is ahead of the machine's."""

    by: timedelta = field(default_factory=timedelta)

    def read(self) -> timedelta:
        """Return it."""
        return self.by

    def advance(self, wait: timedelta) -> None:
        """Let time pass."""
        self.by += wait


@dataclass(slots=True)
class Line:
    """The way to Kommo for one chat.

    Args:
        taken: Kommo's id of each delivery that it took.
        echoes: what Kommo has yet to report back, and since when.
    """

    chat: str
    random: Random
    store: Store
    shift: Shift
    facts: Facts
    figures: Counter[str]
    taken: dict[UUID, str] = field(default_factory=dict)
    echoes: list[tuple[Item, datetime]] = field(default_factory=list)

    async def send(self, leased: Leased, lease: Mark) -> Report | None:
        """Do what kommo-service and Kommo do, and return the report; None when the worker died over it.

        Args:
            leased: what is to be sent.
            lease: the call that leased it.
        """
        self.shift.advance(timedelta(seconds=self.random.choice(DELAYS)))
        delivery, now = leased.delivery, await self.store.read(lambda _, now: now)
        if leased.unclear_since_at is not None and delivery.id in self.taken:
            return Sent("talk_message", (self.taken[delivery.id],))
        message = Message(str(delivery.id), ACCOUNT.id, self.chat, delivery.text, start_before=leased.start_before)
        # The rule of kommo-service itself decides whether something may still be begun.
        if not message.may_start(now):
            self.figures["too late to start"] += 1
            return Retry("too_late_to_start")
        fate = self.random.choice(FATES)
        if fate in ("timeout_before", "later"):
            return Retry(fate, is_unclear=fate == "timeout_before")
        if fate == "refused":
            return Failed(fate)
        self._accept(leased, lease, now)
        if fate == "died_after":
            self.shift.advance(LEASE)
            return None
        return Sent("talk_message", (self.taken[delivery.id],)) if fate == "sent" else Retry(fate, is_unclear=True)

    def _accept(self, leased: Leased, lease: Mark, now: datetime) -> None:
        delivery, leased_at = leased.delivery, leased.lease_until - LEASE
        started = Started(delivery.id, delivery.turn_id, delivery.kind, lease, self.facts.begin(), leased_at, now)
        self.facts.started.append(started)
        self.taken[delivery.id] = f"{self.chat}-k-{len(self.facts.started)}"
        if self.random.random() < 0.7:
            content = Content(self.taken[delivery.id], delivery.text)
            echo = CompanyMessage(content, is_person=self.random.random() < 0.5)
            self.echoes.append((Item(ACCOUNT.id, self.chat, echo), now))
