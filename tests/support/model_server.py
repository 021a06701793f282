"""A real HTTP peer that speaks the chat-completions protocol and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@dataclass
class ModelServer:
    """A model that always says `answer`, after `seconds`.

    Args:
        answer: what it says.
        seconds: how long it thinks.
        label: what it says where a JSON schema comes with the request.
        is_down: whether it answers with an error instead.
        requests: the bodies that it received, in order.
    """

    answer: str = "¡Hola! ¿En qué te ayudo?"
    seconds: float = 0.0
    label: str = "{}"
    is_down: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def complete(self, request: Request) -> JSONResponse:
        """Answer one chat completion."""
        asked = await request.json()
        self.requests.append(asked)
        await asyncio.sleep(self.seconds)
        if self.is_down:
            return JSONResponse({"error": {"message": "down", "type": "server_error"}}, 503)
        message = {"role": "assistant", "content": self.label if "response_format" in asked else self.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "peer-model"}
        return JSONResponse({**body, "choices": [choice], "usage": usage})


@asynccontextmanager
async def running_model(model: ModelServer) -> AsyncIterator[ModelServer]:
    """Serve the model on a free port while inside; its `url` is the base URL for clients."""
    app = Starlette(routes=[Route("/v1/chat/completions", model.complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    server.config.load()
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    model.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield model
    finally:
        server.should_exit = True
        await serving
