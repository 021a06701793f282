"""The table of delivery faults: every case run over one mesh, side by side, and what became of each reply."""

import asyncio
import json
import logging
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
from support.faults.case import DELIVERED, TOLD, Case
from support.faults.cases import CASES
from support.faults.mesh import FaultMesh, Kommo, Order, Seen
from support.faults.running import running_fault_mesh

from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh_runtime.errors import RemoteError

LIMIT_SECONDS = 240.0
UNDECIDED = "undecided"
# What has to have ended before the fate of a reply is known.
OPEN_KINDS = ("reply", "notice", "proof", "relay", "mirror")


@dataclass(frozen=True)
class Fate:
    """What became of the reply of a case.

    Args:
        outcome: delivered, told or undecided.
        because: the evidence, or the reason that a person was told of.
        at_kommo: messages of the bot that Kommo has.
        most_alike: how many of them have the same words.
        tasks: tasks that Kommo has for people.
        alerts: calls of the account's alert address.
        relayed: messages that the relay of the own channel has.
    """

    case: Case
    outcome: str
    because: str
    at_kommo: int
    most_alike: int
    tasks: int
    alerts: int
    relayed: int

    @property
    def problems(self) -> list[str]:
        """What is not as the case asks for."""
        case = self.case
        is_told = self.tasks == 1 or (self.tasks == 0 and self.alerts > 0)
        wrong = {
            f"{self.outcome}, not {case.outcome}": self.outcome != case.outcome,
            f"{self.because}, not {case.because}": case.because not in self.because,
            f"{self.at_kommo} messages, not {case.at_kommo}": self.at_kommo != case.at_kommo,
            "the same words twice": self.most_alike > 1,
            f"{self.relayed} at the relay, not {case.relayed}": self.relayed != case.relayed,
            f"{self.tasks} tasks and {self.alerts} alerts": not is_told if case.outcome == TOLD else self.tasks > 0,
        }
        return [problem for problem, is_wrong in wrong.items() if is_wrong]


@dataclass(frozen=True)
class Scene:
    """A case that is played on its account."""

    mesh: FaultMesh
    kommo: Kommo
    case: Case

    @property
    def chat_id(self) -> str:
        return f"chat-{self.kommo.account_id}"

    async def play(self) -> Fate:
        """Let the client write, wait until it is decided what became of the reply, and return that."""
        self.mesh.watched.add(self.kommo.account_id)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await self._begin()
                async with self.mesh.looked:
                    await self.mesh.looked.wait_for(self._is_decided)
        except (TimeoutError, httpx.HTTPError, RemoteError) as error:
            return self._fate(UNDECIDED, f"{type(error).__name__} {error}: {self._waiting()}")
        finally:
            self.mesh.watched.discard(self.kommo.account_id)
        if self._is_with_person:
            return self._fate(TOLD, self._reasons())
        return self._fate(DELIVERED, self._evidence())

    async def _begin(self) -> None:
        for order in self.case.faults:
            await self.kommo.fault(**order)
        await self.case.play(self.kommo, self.chat_id)

    @property
    def _seen(self) -> Seen:
        return self.mesh.seen(self.kommo.account_id)

    @property
    def _is_with_person(self) -> bool:
        return any(holder != "bot" for holder in self._seen.holders)

    @property
    def _alerted(self) -> list[str]:
        return [one["kind"] for one in self.mesh.outside.alerts if one["account_id"] == self.kommo.account_id]

    def _is_decided(self) -> bool:
        seen = self._seen
        if self.case.alerted not in ("", *self._alerted):
            return False
        if not seen.outcomes or None in seen.outcomes:
            return False
        if any(one["state"] == "pending" and one["kind"] in OPEN_KINDS for one in seen.deliveries):
            return False
        return self._is_person_told() if self._is_with_person else bool(self._evidence())

    def _is_person_told(self) -> bool:
        if "package_waiting" in self._alerted:
            return True
        package = [one for one in self._seen.deliveries if one["kind"] in ("task", "note")]
        return bool(self.kommo.tasks) and all(one["state"] == "sent" for one in package)

    def _fate(self, outcome: str, because: str) -> Fate:
        said = list(self.kommo.said.values())
        copies = Counter(one.text for one in said)
        return Fate(
            self.case,
            outcome,
            because,
            at_kommo=len(said),
            most_alike=max(copies.values(), default=0),
            tasks=len(self.kommo.tasks),
            alerts=len(self._alerted),
            relayed=len(self.mesh.outside.relayed.get(self.kommo.account_id, ())),
        )

    def _evidence(self) -> str:
        """Return how it is known that each bubble is at the client; nothing while one has no proof."""
        proofs = []
        for one in self._seen.deliveries:
            if one["kind"] == "reply":
                ids = json.loads(one["kommo_message_ids"])
                is_there = bool(ids) and all(found in self.kommo.said for found in ids)
                if one["state"] != "sent" or one["proved_at"] is None or one["proof_state"] == "failed" or not is_there:
                    return ""
                proofs.append(f"{one['proof_state']}: {one['proof_source'] or 'answer'}")
        return "; ".join(dict.fromkeys(proofs))

    def _reasons(self) -> str:
        replies = [one for one in self._seen.deliveries if one["kind"] == "reply"]
        dead = [one["reason"] for one in replies if one["state"] == "dead"]
        unproved = [one["proof_reason"] for one in replies if one["proof_state"] == "failed"]
        return ", ".join(dict.fromkeys(filter(None, (*dead, *unproved))))

    def _waiting(self) -> str:
        waiting = (f"{one['kind']} {one['state']} {one['reason'] or ''}".strip() for one in self._seen.deliveries)
        return f"{self._seen.holders} {self._seen.outcomes} {'; '.join(waiting)}"


def _order_of(case: Case) -> Order:
    order = case.order
    return Order({"transports": list(case.transports), **order.account}, order.secrets, order.kommo, order.relay)


async def run_cases(folder: Path, cases: Sequence[Case] = CASES) -> list[Fate]:
    """Return the fate of each case, in their order."""
    async with running_fault_mesh(folder, [_order_of(case) for case in cases]) as mesh:
        by_account = {kommo.account_id: case for kommo, case in zip(mesh.kommos, cases, strict=True)}

        def reply(request: reply_pb.GenerateReplyRequest) -> reply_pb.GenerateReplyResponse:
            parts = by_account[request.account_id].parts
            return reply_pb.GenerateReplyResponse(reply=reply_pb.Reply(text=" ".join(parts), parts=parts))

        mesh.peers.replies.replies.usual = reply
        scenes = [Scene(mesh, kommo, case) for kommo, case in zip(mesh.kommos, cases, strict=True)]
        return list(await asyncio.gather(*(scene.play() for scene in scenes)))


def table(fates: Sequence[Fate]) -> str:
    """Return the fates as a table for people."""
    head = (
        "case",
        "transports",
        "what Kommo did",
        "outcome",
        "evidence, or the reason told",
        "at Kommo",
        "elsewhere",
        "",
    )
    rows = [
        (
            fate.case.name,
            ", ".join(fate.case.transports),
            fate.case.does,
            fate.outcome,
            textwrap.shorten(fate.because, 400 if fate.problems else 60, placeholder="…"),
            f"{_counted(fate.at_kommo, 'message')}, {_counted(fate.tasks, 'task')}",
            ", ".join(_counted(n, noun) for n, noun in ((fate.alerts, "alert"), (fate.relayed, "relayed")) if n),
            "WRONG" if fate.problems else "",
        )
        for fate in fates
    ]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in (lines[0], "  ".join("-" * width for width in widths), *lines[1:]))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main() -> int:
    """Print the table; return 1 when a case ended otherwise than it should."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        fates = asyncio.run(run_cases(Path(folder)))
    sys.stdout.write(f"{table(fates)}\n")
    wrong = [fate for fate in fates if fate.problems]
    for fate in wrong:
        sys.stdout.write(f"{fate.case.name}: {'; '.join(fate.problems)}\n")
    sys.stdout.write(f"{len(fates) - len(wrong)} of {len(fates)} cases end as they should.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
