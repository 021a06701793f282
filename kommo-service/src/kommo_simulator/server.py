"""A real HTTP server around the simulator, for the command and for tests."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from typing import cast

import uvicorn
from starlette.applications import Starlette

from kommo_simulator.app import create_app
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.simulator import Simulator


class Server(uvicorn.Server):
    """A uvicorn server that tells when it is ready and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install nothing: the owner of the event loop does."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that answers at `url`."""

    url: str
    port: int
    app: Starlette
    server: Server

    @property
    def simulator(self) -> Simulator:
        """What it serves, for those who run in the same process."""
        return cast(Simulator, self.app.state.simulator)


@contextlib.asynccontextmanager
async def running_simulator(
    settings: SimulatorSettings, now: Callable[[], float] = time.time
) -> AsyncIterator[RunningSimulator]:
    """Serve a simulator on the host and port of the settings while the context lasts.

    Args:
        settings: what it plays.
        now: returns unix seconds.

    Raises:
        OSError: the port is taken.
    """
    app = create_app(settings, now)
    # Kommo's clock may be another than the machine's, so the application dates its answers itself.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        ws="none",
        date_header=False,
    )
    listener = socket.create_server((settings.host, settings.port), backlog=2048)
    server = Server(config)
    port: int = listener.getsockname()[1]
    url = f"http://{settings.host}:{port}"
    app.state.simulator.media.address = url
    # The server closes its socket when it ends by itself, not when what runs inside fails.
    with listener:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            ready = group.create_task(server.ready.wait())
            await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
            try:
                yield RunningSimulator(url, port, app, server)
            finally:
                ready.cancel()
                server.should_exit = True
