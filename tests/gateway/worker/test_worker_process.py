"""The worker as a process of its own: health, metrics, and what it refuses to start with."""

import asyncio
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.worker_peers import LIMIT_SECONDS, failing

from gateway.worker.main import run_worker, serve_worker
from gateway.worker.settings import WorkerSettings
from kommomesh_runtime.accounts import AccountsInvalid
from kommomesh_runtime.telemetry import REGISTRY


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_given_health_port_when_served_then_probe_succeeds_until_stopped(accounts_dir, peers):
    port, stop = free_port(), asyncio.Event()
    settings = WorkerSettings(
        accounts_dir=accounts_dir, health_port=port, conversation_address=peers.address, grace_seconds=0
    )
    task = asyncio.create_task(serve_worker(settings, stop))
    await peers.turns.leases.seen(1)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "liveness", "readiness"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=LIMIT_SECONDS)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stop.set()
    async with asyncio.timeout(LIMIT_SECONDS):
        await task


async def test_given_missing_accounts_when_started_then_refused_with_the_reason(tmp_path):
    with pytest.raises(AccountsInvalid, match="no such directory"):
        await run_worker(WorkerSettings(accounts_dir=tmp_path / "none"), asyncio.Event())


async def test_given_work_when_done_then_counted(peers, running_worker, new_turn, new_delivery):
    turns = sample("turn_seconds_count", result="answered")
    abandoned = sample("turn_seconds_count", result="abandoned")
    sent, unclear = sample("deliveries_total", outcome="sent"), sample("deliveries_total", outcome="unclear")
    errors = sample("worker_errors_total", loop="turns")
    peers.turns.leases.queued.append(failing("INTERNAL"))
    peers.kommo.sends.queued.append(failing("UNAVAILABLE"))
    for work in (new_turn(), new_turn(account_id="99")):
        peers.turns.due.put_nowait(work)
    for delivery in (new_delivery(), new_delivery()):
        peers.outbox.due.put_nowait(delivery)
    async with running_worker():
        await peers.turns.completions.seen(1)
        await peers.turns.abandons.seen(1)
        await peers.outbox.reports.seen(2)
    assert sample("turn_seconds_count", result="answered") == turns + 1
    assert sample("turn_seconds_count", result="abandoned") == abandoned + 1
    assert sample("deliveries_total", outcome="sent") == sent + 1
    assert sample("deliveries_total", outcome="unclear") == unclear + 1
    assert sample("worker_errors_total", loop="turns") == errors + 1
    assert sample("turns_in_flight") == 0
