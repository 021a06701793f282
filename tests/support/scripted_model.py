"""A scripted peer that speaks the chat-completions protocol over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Body = Mapping[str, Any]
Step = Callable[[Body], Response]


def said(text: str, finish_reason: str = "stop", **extra: Any) -> Step:
    """Answer with a message of the model."""

    def answer(body: Body) -> Response:
        return JSONResponse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": f"{body['model']}-served",
                "choices": [
                    {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
                ],
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 20,
                    "total_tokens": 120,
                    "prompt_tokens_details": {"cached_tokens": 64},
                },
                **extra,
            }
        )

    return answer


def without_usage(text: str) -> Step:
    """Answer as servers do that count no tokens and name no id."""

    def answer(body: Body) -> Response:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return JSONResponse({"model": body["model"], "choices": [choice]})

    return answer


def error(status: int, code: object = None, headers: Mapping[str, str] | None = None, **extra: Any) -> Step:
    """Answer with an error body."""

    def answer(_: Body) -> Response:
        body = {"error": {"message": "no", "type": "server_error", "code": code, **extra}}
        return JSONResponse(body, status, dict(headers or {}))

    return answer


def raw(content: str, status: int = 200, media_type: str = "application/json") -> Step:
    """Answer with these very bytes."""
    return lambda _: Response(content, status, media_type=media_type)


def silent(_: Body) -> Response:
    """Never answer; the server holds the request until the client gives up."""
    raise asyncio.CancelledError


def echoing_system(_template: str = "{system}") -> Step:
    """Answer with what the system prompt says, as a model that leaks does."""
    return lambda body: said(_template.format(system=body["messages"][0]["content"][:900]))(body)


@dataclass
class ModelServer:
    """What the peer is told to answer, and what it was asked."""

    url: str = ""
    steps: list[Step] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def script(self, *steps: Step) -> None:
        """Answer these in turn; the last one for ever."""
        self.steps = list(steps)

    async def handle(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.requests.append(body)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if step is silent:
            while not await request.is_disconnected():
                await asyncio.sleep(0.01)
            return Response(status_code=499)
        return step(body)


@asynccontextmanager
async def running_model_server() -> AsyncIterator[ModelServer]:
    """Serve on a port that the kernel picks."""
    peer = ModelServer()
    app = Starlette(routes=[Route("/v1/chat/completions", peer.handle, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    peer.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield peer
    finally:
        server.should_exit = True
        await serving
