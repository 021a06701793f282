"""The four services that a worker calls, each a few lines that answer what a test tells them to."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kommomesh.conversation.v1 import conversation_pb2 as conv
from kommomesh.conversation.v1 import outbox_service_pb2 as outbox_pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as outbox_grpc
from kommomesh.conversation.v1 import turn_service_pb2 as turn_pb
from kommomesh.conversation.v1 import turn_service_pb2_grpc as turn_grpc
from kommomesh.intent.v1 import intent_service_pb2 as intent_pb
from kommomesh.intent.v1 import intent_service_pb2_grpc as intent_grpc
from kommomesh.kommo.v1 import alert_pb2 as alert_pb
from kommomesh.kommo.v1 import delivery_proof_pb2 as proof_pb
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo_pb
from kommomesh.kommo.v1 import kommo_service_pb2_grpc as kommo_grpc
from kommomesh.kommo.v1 import media_pb2 as media_pb
from kommomesh.llm.v1 import reply_service_pb2 as reply_pb
from kommomesh.llm.v1 import reply_service_pb2_grpc as reply_grpc
from kommomesh_runtime.errors import MeshError
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings

LIMIT_SECONDS = 60.0

RESULTS = {
    "answer": conv.TURN_RESULT_ANSWERED,
    "escalate": conv.TURN_RESULT_ESCALATED,
    "no_answer": conv.TURN_RESULT_NOT_ANSWERED,
}


def failing(code: str, reason: str = "", retry_after: float | None = None) -> MeshError:
    """Return an error that reaches the caller with just this status."""
    error = MeshError(retry_after=retry_after)
    error.code, error.reason = code, reason
    return error


class Answers:
    """What one method answers: the queued answers first, then always the usual one.

    An answer is a message, an error to raise, or a function of the request that returns one (or an awaitable of one).
    """

    def __init__(self, usual: Any) -> None:
        self.usual = usual
        self.queued: deque[Any] = deque()
        self.requests: list[Any] = []
        self._arrived = asyncio.Event()

    async def to(self, request: Any) -> Any:
        self.requests.append(request)
        self._arrived.set()
        answer = self.queued.popleft() if self.queued else self.usual
        if callable(answer):
            answer = answer(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, MeshError):
            raise answer
        return answer

    async def seen(self, count: int) -> list[Any]:
        """Wait until so many requests have come and return all."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests


def take(queue: "asyncio.Queue[Any]", most: int) -> list[Any]:
    return [queue.get_nowait() for _ in range(min(most, queue.qsize()))]


async def wait_and_take(queue: "asyncio.Queue[Any]", most: int, seconds: float) -> list[Any]:
    """Return what is in a queue, waiting as a long poll does."""
    try:
        async with asyncio.timeout(seconds):
            first = await queue.get()
    except TimeoutError:
        return []
    return [first, *take(queue, most - 1)]


class Turns(turn_grpc.TurnServiceServicer):
    def __init__(self) -> None:
        self.due: asyncio.Queue[turn_pb.LeasedTurn] = asyncio.Queue()
        self.leases = Answers(self._lease)
        self.completions = Answers(self._complete)
        self.abandons = Answers(turn_pb.AbandonTurnResponse())

    async def _lease(self, request: turn_pb.LeaseTurnsRequest) -> turn_pb.LeaseTurnsResponse:
        seconds = request.wait_duration.ToMilliseconds() / 1000
        return turn_pb.LeaseTurnsResponse(turns=await wait_and_take(self.due, request.max_turns, seconds))

    def _complete(self, request: turn_pb.CompleteTurnRequest) -> turn_pb.CompleteTurnResponse:
        return turn_pb.CompleteTurnResponse(result=RESULTS[request.WhichOneof("decision")])

    async def LeaseTurns(self, request, context):
        return await self.leases.to(request)

    async def CompleteTurn(self, request, context):
        return await self.completions.to(request)

    async def AbandonTurn(self, request, context):
        return await self.abandons.to(request)


class Outbox(outbox_grpc.OutboxServiceServicer):
    def __init__(self) -> None:
        self.due: asyncio.Queue[outbox_pb.LeasedDelivery] = asyncio.Queue()
        self.leases = Answers(self._lease)
        self.reports = Answers(outbox_pb.ReportDeliveryResponse())

    async def _lease(self, request: outbox_pb.LeaseDeliveriesRequest) -> outbox_pb.LeaseDeliveriesResponse:
        seconds = request.wait_duration.ToMilliseconds() / 1000
        deliveries = await wait_and_take(self.due, request.max_deliveries, seconds)
        return outbox_pb.LeaseDeliveriesResponse(deliveries=deliveries)

    async def LeaseDeliveries(self, request, context):
        return await self.leases.to(request)

    async def ReportDelivery(self, request, context):
        return await self.reports.to(request)


class Intents(intent_grpc.IntentServiceServicer):
    def __init__(self) -> None:
        usual = intent_pb.AnalyzeMessageResponse()
        usual.analysis.intent = 5
        usual.analysis.language = "es"
        self.analyses = Answers(usual)

    async def AnalyzeMessage(self, request, context):
        return await self.analyses.to(request)


class Replies(reply_grpc.ReplyServiceServicer):
    def __init__(self) -> None:
        reply = reply_pb.Reply(text="Abrimos a las 9.30.", parts=["Abrimos a las 9.30."])
        self.replies = Answers(reply_pb.GenerateReplyResponse(reply=reply))
        self.classifications = Answers(failing("FAILED_PRECONDITION", "MODEL_NOT_SET"))

    async def GenerateReply(self, request, context):
        return await self.replies.to(request)

    async def ClassifyMessage(self, request, context):
        return await self.classifications.to(request)


class Kommo(kommo_grpc.KommoServiceServicer):
    def __init__(self) -> None:
        self.sends = Answers(self._sent)
        self.hand_offs = Answers(kommo_pb.HandOffResponse(outcome=kommo_pb.SEND_OUTCOME_SENT, kommo_id="n-1"))
        self.talks = Answers(proof_pb.ListTalkMessagesResponse())
        self.proofs = Answers(self._proved)
        self.alerts = Answers(alert_pb.SendAlertResponse(outcome=alert_pb.ALERT_OUTCOME_TAKEN))
        found = media_pb.MEDIA_OUTCOME_FOUND
        self.files = Answers(
            media_pb.InspectMediaResponse(outcome=found, content_type="application/pdf", size_bytes=120_400)
        )

    def _sent(self, request: kommo_pb.SendMessageRequest) -> kommo_pb.SendMessageResponse:
        return kommo_pb.SendMessageResponse(
            outcome=kommo_pb.SEND_OUTCOME_SENT,
            transport="talk_message",
            kommo_message_ids=[f"kommo-{request.delivery_id}"],
        )

    async def SendMessage(self, request, context):
        return await self.sends.to(request)

    async def HandOff(self, request, context):
        return await self.hand_offs.to(request)

    def _proved(self, request: proof_pb.GetDeliveryProofRequest) -> proof_pb.GetDeliveryProofResponse:
        delivered = proof_pb.DELIVERY_STATUS_DELIVERED
        proofs = [
            proof_pb.DeliveryProof(delivery_id=one.delivery_id, status=delivered, source="talk")
            for one in request.messages
        ]
        return proof_pb.GetDeliveryProofResponse(proofs=proofs)

    async def GetDeliveryProof(self, request, context):
        return await self.proofs.to(request)

    async def ListTalkMessages(self, request, context):
        return await self.talks.to(request)

    async def SendAlert(self, request, context):
        return await self.alerts.to(request)

    async def InspectMedia(self, request, context):
        return await self.files.to(request)


@dataclass
class Peers:
    """All four services, behind one port."""

    turns: Turns = field(default_factory=Turns)
    outbox: Outbox = field(default_factory=Outbox)
    intents: Intents = field(default_factory=Intents)
    replies: Replies = field(default_factory=Replies)
    kommo: Kommo = field(default_factory=Kommo)
    address: str = ""

    def services(self) -> Sequence[Service]:
        registrations: list[tuple[str, Callable[..., None], Any]] = [
            ("conversation.v1.TurnService", turn_grpc.add_TurnServiceServicer_to_server, self.turns),
            ("conversation.v1.OutboxService", outbox_grpc.add_OutboxServiceServicer_to_server, self.outbox),
            ("intent.v1.IntentService", intent_grpc.add_IntentServiceServicer_to_server, self.intents),
            ("llm.v1.ReplyService", reply_grpc.add_ReplyServiceServicer_to_server, self.replies),
            ("kommo.v1.KommoService", kommo_grpc.add_KommoServiceServicer_to_server, self.kommo),
        ]
        return [Service(f"kommomesh.{name}", partial(add, servicer)) for name, add, servicer in registrations]


@asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    """Serve the peers of a worker while inside."""
    peers = Peers()
    settings = ServerSettings(port=0, drain_seconds=0, grace_seconds=0)
    async with running_server(peers.services(), settings) as server:
        peers.address = f"dns:///127.0.0.1:{server.port}"
        yield peers
