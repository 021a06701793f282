"""The process: it starts on an empty folder, serves all three services, and stops when asked."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from support.kommo_items import client_item

from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.conversation.v1 import conversation_service_pb2_grpc as pb_grpc
from kommomesh_runtime.channel import open_channel

SERVICES = {f"kommomesh.conversation.v1.{name}Service" for name in ("Conversation", "Turn", "Outbox")}


async def _start(folder: Path, **variables: str) -> asyncio.subprocess.Process:
    hidden = ("MESH_", "KOMMO_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conversation_service"),
        cwd=folder,
        env={**kept, "MESH_PORT": "0", "MESH_LOG_FORMAT": "json", "MESH_DRAIN_SECONDS": "0"} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _until(process: asyncio.subprocess.Process, event: str) -> dict[str, object]:
    assert process.stdout is not None
    async for line in process.stdout:
        found: dict[str, object] = json.loads(line)
        if found["event"] == event:
            return found
    assert process.stderr is not None
    raise AssertionError(f"the process ended before {event}: {(await process.stderr.read()).decode()}")


async def test_given_an_empty_folder_when_started_then_it_serves_and_stops_when_asked(tmp_path: Path) -> None:
    process = await _start(tmp_path, MESH_INGEST_LIMIT_SECONDS="10")
    try:
        async with asyncio.timeout(120):
            started = await _until(process, "server.started")
            async with open_channel(f"dns:///127.0.0.1:{started['port']}", limit_seconds=60) as channel:
                stub = pb_grpc.ConversationServiceStub(channel)
                request = service_pb.IngestMessagesRequest(items=[client_item("m1")])
                response = await stub.IngestMessages(request, wait_for_ready=True)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    services = started["services"]
    assert isinstance(services, list)
    assert set(services) == SERVICES
    assert [result.outcome for result in response.results] == [service_pb.INGEST_OUTCOME_STORED]
    assert (tmp_path / "var" / "mesh.db").is_file()


async def test_given_an_address_of_another_kind_when_started_then_it_says_so_in_one_line(tmp_path: Path) -> None:
    process = await _start(tmp_path, MESH_DATABASE_URL="mysql://db/mesh")
    async with asyncio.timeout(120):
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().startswith("conversation-service cannot start: the database address must begin with")
    assert errors.decode().count("\n") == 1
