"""kommo-service as its own process, and what it writes down about itself."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kommo_service.domain.outcomes import Reason
from kommo_service.settings import KommoSettings
from kommo_simulator import RunningSimulator
from kommo_simulator.faults import FaultOrder, Match
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as pb_grpc

README = Path(__file__).parents[2] / "kommo-service" / "README.md"
SECRET_WORDS = ("Palabras que nadie", "local-development-token", "Elena", "5493510000001")


def request(**changes: Any) -> pb.SendMessageRequest:
    fields: dict[str, Any] = {
        "delivery_id": "d1",
        "account_id": "12345",
        "chat_id": "c1",
        "talk_id": "5",
        "contact_id": "1",
        "contact_name": "Elena",
        "text": "Palabras que nadie más lee. 5493510000001",
    }
    return pb.SendMessageRequest(**{**fields, **changes})


async def test_given_the_command_when_started_then_it_serves_reports_health_and_leaves_when_asked(
    simulator: RunningSimulator,
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "KOMMO_"))}
    environment |= {"MESH_PORT": "0", "MESH_LOG_FORMAT": "json", "MESH_SIMULATOR_URL": simulator.url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kommo_service", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            started = json.loads(await process.stdout.readline())
            assert started["event"] == "server.started"
            async with grpc.aio.insecure_channel(f"127.0.0.1:{started['port']}") as channel:
                answer = await pb_grpc.KommoServiceStub(channel).SendMessage(request(), timeout=60)
                health = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service="kommomesh.kommo.v1.KommoService"), timeout=60
                )
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert answer.outcome == pb.SEND_OUTCOME_SENT
    assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("action", ["status", "reset_before", "delay"])
async def test_given_a_message_when_it_is_sent_or_fails_then_no_log_line_holds_its_words_or_a_secret(
    simulator: RunningSimulator,
    served: Callable[..., Any],
    account_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    action: str,
) -> None:
    simulator.simulator.faults.add(FaultOrder(action, Match(operation="send_message")))  # type: ignore[arg-type]
    async with served(account_of(simulator)) as stub:
        await stub.SendMessage(request())
    written = capsys.readouterr()
    assert "message.handled" in written.out
    assert [word for word in SECRET_WORDS if word in written.out + written.err] == []


def test_given_the_readme_when_read_then_it_names_every_reason_and_setting() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE))
    assert {reason.value for reason in Reason} <= named
    assert {f"MESH_{name.upper()}" for name in KommoSettings.model_fields} <= named
