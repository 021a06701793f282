"""The webhooks of Kommo: authenticated, read, stored, and only then answered."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.types import Receive, Scope

from gateway.adapters.authentication import Keyring
from gateway.adapters.bodies import BodyLimits, BodyNotPlain, BodyTooLarge, BodyTooSlow, header, read_body
from gateway.adapters.ingest import IngestCoalescer, NotStored
from gateway.adapters.json_bodies import read_json
from gateway.adapters.relay_items import item_of_event
from gateway.answers import Answer, Refused, not_stored, unauthenticated
from gateway.domain import crm_events, guide_events
from gateway.domain.chats_events import ChannelIdentity, amojo_id_of, read_chats_events
from gateway.domain.events import ClientMessage, CompanyMessage, EventsError, IgnoreReason, Intake, SalesbotWait
from gateway.domain.forms import FormError, parse_form
from gateway.domain.origins import shipped_origins
from gateway.domain.signatures import is_signed
from gateway.metrics import EVENTS, IGNORED_EVENTS, UNKNOWN_ORIGINS
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.accounts import Account, ChannelConfig

PROBLEMS = {
    "too_many_pairs": "The form holds more fields than are accepted; send fewer events at once.",
    "too_many_events": "The request holds more events than are accepted; send fewer at once.",
    "key_too_long": "A field name of the form is too long.",
    "key_too_deep": "A field name of the form has too many brackets.",
    "not_a_form": "The body is no form; Kommo's webhooks are application/x-www-form-urlencoded.",
    "not_json": "The body is no JSON.",
    "not_an_object": "The JSON of the body is no object.",
    "too_deep": "The JSON of the body is nested too deep.",
    "too_many_values": "The JSON holds more values than are accepted; send fewer events at once.",
}
FORM_REFUSES = ("application/json", "multipart/")
JSON_REFUSES = ("application/x-www-form-urlencoded", "multipart/")
KINDS: dict[type, str] = {
    ClientMessage: "client_message",
    CompanyMessage: "company_message",
    SalesbotWait: "salesbot_request",
}
OUTCOMES = {
    service_pb.INGEST_OUTCOME_STORED: "stored",
    service_pb.INGEST_OUTCOME_DUPLICATE: "duplicate",
    service_pb.INGEST_OUTCOME_REJECTED: "rejected",
    service_pb.INGEST_OUTCOME_MIRRORED: "mirrored",
}


@dataclass(frozen=True, slots=True)
class StoreSeconds:
    """How long to try to store: what Kommo repeats, Chats API hooks, which it never repeats, and widget requests."""

    crm: float = 0.9
    chats: float = 3.9
    salesbot: float = 1.5


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Handlers of the webhooks.

    Args:
        keyring: tells which account may speak.
        coalescer: stores.
        limits: bounds of a body.
        seconds: how long to try to store.
        now: the time, aware.
    """

    keyring: Keyring
    coalescer: IngestCoalescer
    limits: BodyLimits
    seconds: StoreSeconds
    now: Callable[[], datetime]

    async def crm(self, scope: Scope, receive: Receive, secret: str) -> Answer:
        """Take a form of Kommo's CRM, which carries no signature: the path's secret and the account must fit.

        Raises:
            Refused: 400, 401, 408, 413, 415 or 503.
        """
        started = time.perf_counter()
        allowed = self.keyring.accounts_of_secret(secret)
        if not allowed:
            raise unauthenticated()
        refuse_types(scope, FORM_REFUSES, "Kommo's CRM webhooks are application/x-www-form-urlencoded.")
        body = await self.body(scope, receive)
        try:
            form = parse_form(body)
            account_id = crm_events.account_id_of(form)
            account = next((one for one in allowed if one.id == account_id), None)
            if account is None:
                raise unauthenticated()
            intake = crm_events.read_crm_events(form)
        except (FormError, EventsError) as error:
            raise unreadable(error) from None
        return await self.store(account, intake, self.seconds.crm, started)

    async def guide(self, scope: Scope, receive: Receive) -> Answer:
        """Take the JSON shape of integration guides, where the account it names allows that.

        Raises:
            Refused: 400, 401, 408, 413, 415 or 503.
        """
        started = time.perf_counter()
        if not self.keyring.takes_guide:
            raise unauthenticated()
        refuse_types(scope, JSON_REFUSES, "Send JSON here; Kommo's own forms go to the URL that holds the secret.")
        body = await self.body(scope, receive)
        try:
            content = read_json(body)
            account = self.keyring.account_of_guide(guide_events.account_id_of(content))
            if account is None or not self._guide_allowed(account, body, header(scope, b"x-signature")):
                raise unauthenticated()
            intake = guide_events.read_guide_events(content)
        except EventsError as error:
            raise unreadable(error) from None
        return await self.store(account, intake, self.seconds.crm, started)

    async def chats(self, scope: Scope, receive: Receive, scope_id: str) -> Answer:
        """Take a signed hook of the Chats API, and keep trying to store it, since Kommo sends it once.

        Raises:
            Refused: 400, 401, 408, 413, 415 or 503.
        """
        started = time.perf_counter()
        account = self.keyring.account_of_scope(scope_id)
        signature = header(scope, b"x-signature")
        if account is None or account.channel is None or not signature:
            raise unauthenticated()
        body = await self.body(scope, receive)
        if not is_signed(body, signature, self.keyring.secrets(account, "channel_secret")):
            raise unauthenticated()
        try:
            content = read_json(body)
            # One channel secret signs for every account that uses the channel: the body must name this one.
            if amojo_id_of(content).lower() not in ("", _amojo_id(account.channel)):
                raise unauthenticated()
            intake = read_chats_events(content, ChannelIdentity.of(account.channel.code, account.user_amojo_ids))
        except EventsError as error:
            raise unreadable(error) from None
        return await self.store(account, intake, self.seconds.chats, started)

    def _guide_allowed(self, account: Account, body: bytes, signature: str) -> bool:
        if account.guide_webhook == "open":
            return True
        return is_signed(body, signature, self.keyring.secrets(account, "guide_secret"))

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body of a request.

        Raises:
            Refused: 408, 413 or 415.
        """
        try:
            return await read_body(scope, receive, self.limits)
        except BodyTooLarge:
            message = f"The body is larger than {self.limits.bytes} bytes."
            raise Refused(413, "body_too_large", message) from None
        except BodyTooSlow:
            raise Refused(408, "body_too_slow", "The body did not arrive in time; send it again.") from None
        except BodyNotPlain:
            raise Refused(415, "unsupported_encoding", "Send the body without Content-Encoding.") from None

    async def store(self, account: Account, intake: Intake, seconds: float, started: float) -> Answer:
        """Store what a request brought and return the answer that says so.

        Args:
            account: whose it is.
            intake: what it brought.
            seconds: the most that may pass from the start of the request until it is stored.
            started: when the request began, by the performance counter.

        Raises:
            Refused: 503, it could not be stored.
        """
        items = [item_of_event(account, event) for event in intake.events]
        try:
            results = await self.coalescer.store(items, max(0.05, seconds - (time.perf_counter() - started)))
        except NotStored as error:
            raise not_stored(error.code, {"account_id": account.id, "events": len(items)}) from None
        if any(result.outcome == service_pb.INGEST_OUTCOME_ACCOUNT_UNKNOWN for result in results):
            # A new account reaches the services one after the other; until then Kommo is to repeat.
            raise not_stored("account_unknown", {"account_id": account.id, "events": len(items)})
        queued = _count(intake, results)
        content: dict[str, Any] = {
            "status": "ok",
            "timestamp": self.now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "processingTimeMs": round((time.perf_counter() - started) * 1000, 1),
            "messagesQueued": queued,
        }
        ignored = {reason.value: count for reason, count in intake.ignored.items()}
        if ignored:
            content["ignored"] = ignored
        logged = {"account_id": account.id, "events": len(items), "queued": queued, "ignored": ignored}
        return Answer(200, content, (), logged)


def _amojo_id(channel: ChannelConfig) -> str:
    return (channel.amojo_id or channel.scope_id.partition("_")[2]).lower()


def refuse_types(scope: Scope, refused: tuple[str, ...], message: str) -> None:
    """Refuse a request whose content type begins with one of these.

    Raises:
        Refused: 415.
    """
    if header(scope, b"content-type").lower().startswith(refused):
        raise Refused(415, "unsupported_media_type", message)


def unreadable(error: FormError | EventsError) -> Refused:
    """Return the refusal of a body that cannot be read."""
    return Refused(413 if error.is_too_large else 400, error.code, PROBLEMS[error.code])


def _count(intake: Intake, results: list[service_pb.IngestResult]) -> int:
    """Return how many client messages are newly stored; count the rest, in the intake and in the metrics."""
    outcomes: Counter[tuple[str, str]] = Counter()
    for event, result in zip(intake.events, results, strict=True):
        kind = KINDS.get(type(event), "other_event")
        outcome = OUTCOMES.get(result.outcome, "rejected")
        outcomes[kind, outcome] += 1
        if outcome == "duplicate":
            intake.ignored[IgnoreReason.DUPLICATE] += 1
        elif outcome == "mirrored":
            intake.ignored[IgnoreReason.MIRRORED_COPY] += 1
        elif outcome == "rejected":
            intake.ignored[IgnoreReason.REJECTED_BY_STORAGE] += 1
        origin = "" if isinstance(event, SalesbotWait) else event.chat.origin
        if origin and not shipped_origins().is_known(origin):
            UNKNOWN_ORIGINS.inc()
    for (kind, outcome), count in outcomes.items():
        EVENTS.labels(kind, outcome).inc(count)
    for reason, count in intake.ignored.items():
        IGNORED_EVENTS.labels(reason.value).inc(count)
    return outcomes["client_message", "stored"]
