"""Durable acknowledgements of webhooks against the same web server without a store."""

from dataclasses import dataclass
from pathlib import Path

from figures import HEADINGS, Side, cpu_line, latency_cells, ratio_line, ratios, spread, table
from load_client import Connection, Exchange, Load, paced
from stack import one_script, storing_web
from webhook_bodies import Webhooks

CONNECTIONS = 32
MESSAGES_PER_CHAT = 4
TARGETS = "floor 0.55, aim 0.70"
HALF_RATE_TARGETS = "p99: floor 50 ms, aim 15 ms"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Args:
        rounds: interleaved rounds of each comparison.
        seconds: of one round.
        paced_seconds: at a steady rate.
        turns_together: turns at once.
        calls: calls of one kind that are measured one at a time.
        idle_chats: the many idle conversations that leases stand beside.
    """

    rounds: int
    seconds: float
    paced_seconds: float
    turns_together: int
    calls: int
    idle_chats: int


def acknowledged(webhooks: Webhooks) -> Exchange:
    """Return the exchange of one webhook: posted, and answered with 200."""

    async def exchange(connection: Connection) -> bool:
        return await connection.ask(webhooks.next()[1]) == 200

    return exchange


async def measure_webhooks(folder: Path, database: str, database_url: str, plan: Plan) -> tuple[str, int]:
    """Return the table of a database, and how many requests failed.

    Args:
        folder: for logs and files.
        database: its name for people.
        database_url: an empty database.
        plan: how much to measure.
    """
    without, stored = Side("without a store"), Side(f"stored in {database}")
    webhooks = Webhooks(f"w{database}", MESSAGES_PER_CHAT)
    async with (
        one_script("web_without_store", folder / "without") as forgetful,
        storing_web(folder / "stored", database_url) as storing,
    ):
        exchange = acknowledged(webhooks)
        for stack in (forgetful, storing):
            await stack.measure(Side("warm"), exchange, together=CONNECTIONS, seconds=min(1.0, plan.seconds))
        for _ in range(plan.rounds):
            for stack, side in ((forgetful, without), (storing, stored)):
                await stack.measure(side, exchange, together=CONNECTIONS, seconds=plan.seconds)
        half = spread(stored.rates).middle / 2
        calm = await paced(
            storing.port,
            exchange,
            together=CONNECTIONS,
            seconds=plan.paced_seconds,
            per_second=max(1.0, half),
        )
    return _shown(database, without, stored, half, calm), without.failed + stored.failed + calm.failed


def _shown(database: str, without: Side, stored: Side, half: float, calm: Load) -> str:
    p50, p99 = latency_cells(calm.latencies)
    return "\n".join(
        (
            f"Webhooks acknowledged, {database}, {CONNECTIONS} connections",
            table([HEADINGS, without.row(), stored.row()]),
            ratio_line("stored ÷ without a store", ratios(stored.rates, without.rates), TARGETS),
            f"  at half of the maximum rate ({half:,.0f}/s): p50 {p50} ms, p99 {p99} ms, failed {calm.failed}   "
            f"{HALF_RATE_TARGETS}",
            cpu_line(stored),
        )
    )
