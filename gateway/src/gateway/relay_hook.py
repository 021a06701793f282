"""The endpoint for the relay of an own channel: authenticated, taken once, stored, and only then answered."""

import time
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope

from gateway.adapters.bodies import header
from gateway.adapters.ingest import NotStored
from gateway.adapters.json_bodies import read_json
from gateway.adapters.relay_items import item_of_post, messenger_of
from gateway.answers import Answer, Refused, not_stored, unauthenticated
from gateway.domain.events import EventsError
from gateway.domain.relay_posts import RelayedStatus, RelayPost, RelayPostError, read_relay_post
from gateway.metrics import EVENTS
from gateway.webhooks import JSON_REFUSES, Webhooks, refuse_types, unreadable
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.relay import REQUEST_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, verified

SIGNED_HEADERS = (TIMESTAMP_HEADER, REQUEST_ID_HEADER, SIGNATURE_HEADER)
RESULTS = {
    service_pb.INGEST_OUTCOME_STORED: "stored",
    service_pb.INGEST_OUTCOME_DUPLICATE: "duplicate",
    service_pb.INGEST_OUTCOME_REPLAYED: "replayed",
    service_pb.INGEST_OUTCOME_REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class RelayHook:
    """Takes what relays post.

    Args:
        webhooks: reads bodies and stores.
    """

    webhooks: Webhooks

    async def take(self, scope: Scope, receive: Receive, account_id: str) -> Answer:
        """Take one signed post: a message of a client, or how far a message of the company got.

        Raises:
            Refused: 400, 401, 408, 413, 415 or 503.
        """
        started = time.perf_counter()
        keyring = self.webhooks.keyring
        account = keyring.account_of_relay(account_id)
        headers = {name: header(scope, name.lower().encode()) for name in SIGNED_HEADERS}
        if account is None or account.channel is None or not headers[SIGNATURE_HEADER]:
            raise unauthenticated()
        refuse_types(scope, JSON_REFUSES, "Send JSON here.")
        body = await self.webhooks.body(scope, receive)
        request_id = verified(headers, body, keyring.secrets(account, "relay_secret"), self.webhooks.now())
        if request_id is None:
            raise unauthenticated()
        try:
            post = read_relay_post(read_json(body), account.channel.origin, messenger_of(account))
        except EventsError as error:
            raise unreadable(error) from None
        except RelayPostError as error:
            raise Refused(400, "invalid_field", str(error), logged={"account_id": account.id}) from None
        return await self._stored(account, post, item_of_post(account.id, post, request_id), started)

    async def _stored(self, account: Account, post: RelayPost, item: service_pb.IngestItem, started: float) -> Answer:
        seconds = self.webhooks.seconds.chats - (time.perf_counter() - started)
        logged: dict[str, Any] = {"account_id": account.id, "events": 1}
        try:
            (result,) = await self.webhooks.coalescer.store([item], max(0.05, seconds))
        except NotStored as error:
            raise not_stored(error.code, logged) from None
        if result.outcome == service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN:
            raise not_stored("account_unknown", logged)
        outcome = RESULTS.get(result.outcome, "rejected")
        kind = "relay_status" if isinstance(post, RelayedStatus) else "client_message"
        EVENTS.labels(kind, outcome).inc()
        if outcome == "replayed":
            # The very request came before: whoever sends it again, it is not the relay.
            raise unauthenticated()
        if outcome == "rejected":
            raise Refused(400, "rejected", result.error or "The message cannot be stored.", logged=logged)
        return Answer(200, {"status": "ok", "result": outcome}, (), {**logged, "result": outcome})
