"""What a case of the fault table sees of its mesh: a clock that jumps ahead, the account's Kommo, what is stored."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from support.faults.outside import Outside
from support.worker_peers import Peers

from conversation_service.adapters.store import Store
from kommo_simulator import SimulatorSettings
from kommo_simulator.model import AuthorType, Message, Task
from kommo_simulator.server import RunningSimulator

POLL_SECONDS = 0.05
JUMP_MARGIN = timedelta(milliseconds=5)
# How long people take to come is no part of a delivery's fate: the clock does not jump there.
PATIENT_LANES = frozenset({"reminder", "courtesy", "alert_nobody_came"})


@dataclass
class Clock:
    """The time of every part of the mesh and of Kommo: this machine's, moved ahead."""

    shift: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def unix(self) -> float:
        return time.time() + self.shift.total_seconds()

    def steady(self) -> float:
        return time.monotonic() + self.shift.total_seconds()


@dataclass(frozen=True)
class Order:
    """An account to make.

    Args:
        account: fields of its file, beside the usual ones.
        secrets: secrets that are not those of its Kommo.
        kommo: settings of its Kommo.
        relay: what the relay of its own channel answers at first, and whether it takes the message all the same; it
            takes the rest. None is an account without a relay.
    """

    account: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kommo: Mapping[str, Any] = field(default_factory=dict)
    relay: Sequence[tuple[int, bool]] | None = None


@dataclass
class Kommo:
    """One account's Kommo: a simulator, and a client of it that carries the token."""

    account_id: str
    running: RunningSimulator
    client: httpx.AsyncClient
    # Where the mesh takes what comes in: its HTTP edge, and the service that stores it.
    web_url: str = ""
    conversations: Any = None

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def settings(self) -> SimulatorSettings:
        return self.running.simulator.settings

    @property
    def webhook_secret(self) -> str:
        return f"webhook-secret-of-account-{self.account_id}"

    @property
    def relay_secret(self) -> str:
        return f"relay-secret-of-account-{self.account_id}"

    @property
    def said(self) -> Mapping[str, Message]:
        """What the bot said in any chat of the account, by Kommo's id, whatever became of it."""
        messages = self.running.simulator.world.messages
        return {key: one for key, one in messages.items() if one.author.type is AuthorType.BOT}

    @property
    def tasks(self) -> Sequence[Task]:
        """The tasks that people have."""
        return list(self.running.simulator.world.tasks.values())

    @property
    def is_reporting(self) -> bool:
        """Whether webhooks of the account are on their way, which would come too late after a jump of the clock."""
        stage = self.running.simulator.stage
        return stage.webhooks.pending + stage.chats_hooks.pending > 0

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(path, json=body)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    async def fault(self, action: str, operation: str = "send_message", **more: Any) -> None:
        match = {"path": more.pop("path")} if "path" in more else {"operation": operation}
        await self.post("/control/faults", {"action": action, "match": match, **more})


@dataclass(frozen=True)
class Seen:
    """What the mesh has stored of one account.

    Args:
        holders: who has the floor in its conversations.
        outcomes: of its clients' messages, None for what is not decided.
        deliveries: what was to be sent, in order.
    """

    holders: Sequence[str] = ()
    outcomes: Sequence[str | None] = ()
    deliveries: Sequence[Mapping[str, Any]] = ()


@dataclass
class FaultMesh:
    """The running mesh, looked at again and again; the clock hurries for the accounts that are `watched`."""

    database: Path
    clock: Clock
    store: Store
    peers: Peers
    kommos: Sequence[Kommo]
    outside: Outside
    watched: set[str] = field(default_factory=set)
    looked: asyncio.Condition = field(default_factory=asyncio.Condition)
    _seen: Mapping[str, Seen] = field(default_factory=dict)

    def seen(self, account_id: str) -> Seen:
        """Return what the last look showed of an account."""
        return self._seen.get(account_id, Seen())

    async def look_again_and_again(self) -> None:
        """Look at the database and let the clock jump to what is due next, until cancelled.

        One look serves all cases, because each of them looking for itself would be most of the work.
        """
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with closing(sqlite3.connect(self.database)) as connection:
                connection.row_factory = sqlite3.Row
                # One moment for all statements: floor and deliveries change together.
                connection.execute("BEGIN")
                self._seen = _seen_by_account(connection)
                next_at = self._next_due(connection)
            if next_at is not None and next_at > (now := self.clock.now()):
                self.clock.shift += next_at - now + JUMP_MARGIN
                self.store.wake("turns")
                self.store.wake("deliveries")
            async with self.looked:
                self.looked.notify_all()

    def _next_due(self, connection: sqlite3.Connection) -> datetime | None:
        """Return when the next work of the watched accounts is due; None while somebody holds any of it."""
        work = connection.execute(
            "SELECT account_id, lane, due_at, leased_until FROM delivery_work"
            " UNION ALL SELECT account_id, 'turn', due_at, leased_until FROM turn_work"
        )
        if any(kommo.is_reporting for kommo in self.kommos if kommo.account_id in self.watched):
            return None
        open_work = [one for one in work if one["account_id"] in self.watched and one["lane"] not in PATIENT_LANES]
        if any(one["leased_until"] for one in open_work):
            return None
        times = [datetime.fromisoformat(one["due_at"]).replace(tzinfo=UTC) for one in open_work]
        return min(times, default=None)


def _seen_by_account(connection: sqlite3.Connection) -> Mapping[str, Seen]:
    def grouped(sql: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in connection.execute(sql):
            found.setdefault(row["account_id"], []).append(dict(row))
        return found

    floors = grouped("SELECT account_id, floor_holder FROM kommo_conversations")
    messages = grouped("SELECT account_id, outcome FROM kommo_messages WHERE role = 'user'")
    deliveries = grouped("SELECT * FROM deliveries ORDER BY sequence")
    return {
        account_id: Seen(
            [one["floor_holder"] for one in rows],
            [one["outcome"] for one in messages.get(account_id, ())],
            deliveries.get(account_id, ()),
        )
        for account_id, rows in floors.items()
    }
