"""What a relay says of the messages that were posted to it, and which of its requests came before."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from conversation_service.adapters import outbox_rows, outcomes, relay_requests, relay_rows
from conversation_service.adapters.conversations import lock_conversation
from conversation_service.adapters.escalation import Escalator
from conversation_service.domain.channel_message import RelayRequest, RelayStatus
from conversation_service.domain.conversation import Conversation, Outcome
from conversation_service.domain.deliveries import Delivery, DeliveryKind
from conversation_service.domain.floor import Escalated, Priority
from conversation_service.domain.ingest import IngestOutcome, IngestResult
from conversation_service.domain.relaying import RELAY_FAILED, StatusReport

if TYPE_CHECKING:
    from conversation_service.adapters.ingest_rows import Entry

NOT_RELAYED = "delivery_id: no such message was posted to the relay"
REPLAYED = IngestResult(IngestOutcome.REPLAYED)


def replayed_places(connection: Connection, arriving: Sequence[Any], now: datetime) -> set[int]:
    """Return the places of what comes from requests of a relay that were taken before."""
    requests = [(_account_id(one), request) for one in arriving if (request := _request(one)) is not None]
    known = relay_requests.replayed(connection, requests, now)
    return {
        place
        for place, one in enumerate(arriving)
        if (request := _request(one)) is not None and (_account_id(one), request.request_id) in known
    }


def take_statuses(
    connection: Connection, reports: Sequence[StatusReport], escalator: Escalator, now: datetime
) -> list[IngestResult]:
    """Record statuses, tell Kommo of them, and call a person for words of the bot that did not reach the client.

    Returns:
        What became of each, in their order.
    """
    return [_take_status(connection, report, escalator, now) for report in reports]


def _take_status(connection: Connection, report: StatusReport, escalator: Escalator, now: datetime) -> IngestResult:
    relayed = outbox_rows.find_delivery(connection, report.delivery_id)
    if relayed is None or relayed.account_id != report.account_id or relayed.kind is not DeliveryKind.RELAY:
        return IngestResult(IngestOutcome.REJECTED, error=NOT_RELAYED)
    conversation = lock_conversation(connection, relayed.conversation_id)
    is_new = relay_rows.tell_status(connection, conversation, relayed, report.status, report.error, now)
    if is_new and report.status is RelayStatus.FAILED and relayed.is_answer:
        _call_person(connection, conversation, relayed, escalator, now)
    return IngestResult(IngestOutcome.STORED if is_new else IngestOutcome.DUPLICATE, conversation.id)


def _call_person(
    connection: Connection, conversation: Conversation, relayed: Delivery, escalator: Escalator, now: datetime
) -> None:
    # The relay had taken it, so that it counts as answered by now.
    outcomes.take_answer_back(connection, relayed.turn_id, Outcome.HANDED_TO_PERSON, RELAY_FAILED)
    called = Escalated(RELAY_FAILED, Priority.HIGH, is_failure=True, code=RELAY_FAILED)
    escalator.escalate(connection, conversation, called, now, turn_id=relayed.turn_id, undelivered=relayed.text)


def _account_id(one: "Entry | StatusReport") -> str:
    return one.account_id if isinstance(one, StatusReport) else one.item.account_id


def _request(one: Any) -> RelayRequest | None:
    item = one if isinstance(one, StatusReport) else getattr(one, "item", None)
    found: RelayRequest | None = getattr(item, "request", None)
    return found
