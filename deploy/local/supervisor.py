"""Keeps processes running until told to stop, and leaves none behind."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import Process

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 15.0
RESTART_SECONDS = 0.5
RESTART_MAX_SECONDS = 10.0
# A process that ran for so long has not failed at its start: its next pause is short again.
STEADY_SECONDS = 30.0
LONGEST_LINE = 1024 * 1024


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_taken(port: int) -> bool:
    """Tell whether something listens on a port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def is_ready(process: Process) -> bool:
    """Tell whether a process answers: gRPC by its health, others by a page; one without a port always does."""
    if process.port == 0:
        return True
    if not process.is_grpc:
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{process.port}{process.ready_path}")
                return answer.is_success
        return False
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.port}") as channel:
        request = health_pb2.HealthCheckRequest(service="readiness")
        with suppress(grpc.aio.AioRpcError):
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False


async def until_ready(process: Process) -> None:
    """Return when a process answers; the caller bounds the time."""
    while not await is_ready(process):  # noqa: ASYNC110 - another process has no event to wait for
        await asyncio.sleep(0.1)


@dataclass(slots=True)
class Child:
    """A process that runs, or is about to run again."""

    process: Process
    environ: Mapping[str, str]
    show: Callable[[str, str], None]
    running: asyncio.subprocess.Process | None = None
    stopping: bool = False
    starts: int = field(default=0)

    async def _once(self) -> None:
        self.starts += 1
        self.running = await asyncio.create_subprocess_exec(
            *self.process.command,
            env={**self.environ, **self.process.environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
            preexec_fn=_die_with_parent,
            limit=LONGEST_LINE,
        )
        if self.stopping:  # asked to stop while it was being started
            self.running.terminate()
        assert self.running.stdout is not None
        await self._show_lines(self.running.stdout)
        await self.running.wait()

    async def _show_lines(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:
                # Unread output would stop the process at its next line.
                self.show(self.process.name, f"(a line of more than {LONGEST_LINE} bytes is left out)")
                continue
            if not line:
                return
            self.show(self.process.name, line.decode(errors="replace").rstrip())

    async def keep_running(self) -> None:
        """Run the process, and run it again when it dies without being told to."""
        clock = asyncio.get_running_loop().time
        pause = RESTART_SECONDS
        while not self.stopping:
            started = clock()
            await self._once()
            pause = RESTART_SECONDS if clock() - started >= STEADY_SECONDS else pause
            await self._pause(pause)
            pause = min(pause * 2, RESTART_MAX_SECONDS)

    async def _pause(self, seconds: float) -> None:
        if not self.stopping and self.running:
            self.show(self.process.name, f"stopped with {self.running.returncode}; starts again in {seconds:.1f} s")
            await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """Ask the process to stop, and make it stop when it does not."""
        self.stopping = True
        running = self.running
        if running is None or running.returncode is not None:
            return
        with suppress(ProcessLookupError):
            running.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await running.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
