"""Whole turns of the mesh against the same steps in one process, from the webhook to the reply at Kommo."""

from pathlib import Path

from figures import HEADINGS, Side, cpu_line, latency_cells, ratio_line, ratios, spread, table
from kommo_peer import KommoPeer, running_peer
from load_client import Connection, Exchange, paced
from stack import one_script, whole_mesh
from webhook_bodies import Webhooks
from webhook_rounds import Plan

TARGETS = "floor 0.35, aim 0.70"
CPU_TARGETS = "floor 5.0, aim 2.5"


def replied(webhooks: Webhooks, peer: KommoPeer) -> Exchange:
    """Return the exchange of one turn: posted, answered with 200, and its reply seen at Kommo."""

    async def exchange(connection: Connection) -> bool:
        talk, request = webhooks.next()
        with peer.awaiting(talk) as reply:
            return await connection.ask(request) == 200 and await reply

    return exchange


async def measure_turns(folder: Path, plan: Plan) -> tuple[str, int]:
    """Return the table, and how many turns failed."""
    mesh, local = Side("mesh of six processes"), Side("the same in one process")
    async with (
        running_peer() as peer,
        whole_mesh(folder / "mesh", peer.port) as parts,
        one_script("one_process", folder / "one", peer.port) as whole,
    ):
        exchange = replied(Webhooks("t"), peer)
        for stack in (parts, whole):
            await stack.measure(Side("warm"), exchange, together=plan.turns_together, seconds=min(1.0, plan.seconds))
        for _ in range(plan.rounds):
            for stack, side in ((whole, local), (parts, mesh)):
                await stack.measure(side, exchange, together=plan.turns_together, seconds=plan.seconds)
        calm = {}
        for side, stack in ((local, whole), (mesh, parts)):
            rate = max(1.0, spread(mesh.rates).middle / 2)
            load = await paced(
                stack.port, exchange, together=plan.turns_together, seconds=plan.paced_seconds, per_second=rate
            )
            calm[f"  {side.name}, {rate:,.0f} turns/s"] = load
    failed = mesh.failed + local.failed + peer.unexpected + sum(load.failed for load in calm.values())
    lines = [
        f"Whole turns, no model, SQLite, {plan.turns_together} at once",
        table([HEADINGS, local.row(), mesh.row()]),
        ratio_line("turns a second, mesh ÷ one process", ratios(mesh.rates, local.rates), TARGETS),
        ratio_line("CPU a turn, mesh ÷ one process", ratios(mesh.cpu_each, local.cpu_each), CPU_TARGETS),
        "  at half of the mesh's maximum rate:",
        *(_calm_line(name, load.latencies, load.failed) for name, load in calm.items()),
        cpu_line(mesh),
    ]
    return "\n".join(lines), failed


def _calm_line(name: str, latencies: list[float], failed: int) -> str:
    p50, p99 = latency_cells(latencies)
    return f"  {name}: p50 {p50} ms, p99 {p99} ms, failed {failed}"
