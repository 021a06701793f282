"""SendAlert on the wire."""

import re
from urllib.parse import urlsplit

from kommo_service.adapters.alert_calls import AlertCaller
from kommo_service.adapters.metrics import ALERTS
from kommo_service.domain.alert import Alert, AlertOutcome, Later, Refused, Skipped, Taken, is_allowed
from kommo_service.domain.findings import Finding, problem
from kommomesh.common.v1 import common_pb2
from kommomesh.kommo.v1 import alert_pb2 as pb
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.parsing import from_seconds, require_text, to_time

ID_MAXIMUM = 256
LINK_MAXIMUM = 600
CODE = re.compile("[a-z][a-z0-9_]{0,63}")
_OUTCOMES = {
    Taken: pb.ALERT_OUTCOME_TAKEN,
    Later: pb.ALERT_OUTCOME_RETRY_LATER,
    Refused: pb.ALERT_OUTCOME_REFUSED,
    Skipped: pb.ALERT_OUTCOME_SKIPPED,
}

log = get_logger()


async def alerted(caller: AlertCaller, accounts: Accounts, request: pb.SendAlertRequest) -> pb.SendAlertResponse:
    """Return what became of an alert.

    Raises:
        InvalidArgument: a field is missing, too long or no code.
        AccountNotFound: no configured account has the id.
    """
    alert = alert_from_proto(request)
    response = outcome_to_proto(await caller.call(accounts.get(alert.account_id), alert))
    outcome = pb.AlertOutcome.Name(response.outcome).removeprefix("ALERT_OUTCOME_").lower()
    ALERTS.labels(outcome, response.reason or "none").inc()
    log.info(
        "alert.handled",
        account_id=alert.account_id,
        delivery_id=alert.id,
        kind=alert.kind,
        outcome=outcome,
        reason=response.reason,
    )
    return response


def alert_from_proto(request: pb.SendAlertRequest) -> Alert:
    """Return the alert of a request.

    Raises:
        InvalidArgument: a field is missing, too long or no code.
    """
    if len(request.trace_url) > LINK_MAXIMUM:
        raise InvalidArgument(field="trace_url", problem=f"must be at most {LINK_MAXIMUM} characters")
    # A priority of a later release says nothing here.
    is_known = request.priority in common_pb2.Priority.values()
    name = common_pb2.Priority.Name(request.priority) if request.priority and is_known else ""
    return Alert(
        id=require_text("delivery_id", request.delivery_id, maximum=ID_MAXIMUM),
        account_id=require_text("account_id", request.account_id, maximum=ID_MAXIMUM),
        conversation_id=require_text("conversation_id", request.conversation_id, maximum=ID_MAXIMUM),
        kind=_code("kind", request.kind),
        reason=_code("reason", request.reason) if request.reason else "",
        priority=name.removeprefix("PRIORITY_").lower(),
        since=to_time(request.since_time),
        created=to_time(request.create_time),
        trace_url=request.trace_url,
    )


def address_findings(caller: AlertCaller, account: Account) -> list[Finding]:
    """Return what is wrong with an account's alert address; nothing where it has none, or may be called."""
    url = account.handoff.alert_url
    if url is None or is_allowed(url, caller.hosts, account.kommo_base_url):
        return []
    host = urlsplit(url).netloc
    text = f"handoff.alert_url leads to {host}, which the operator does not allow: nobody is told when nobody comes."
    return [problem("alert_address", text, f"Add {host} to MESH_ALERT_HOSTS of kommo-service, or correct alert_url.")]


def outcome_to_proto(outcome: AlertOutcome) -> pb.SendAlertResponse:
    """Return what became of an alert for the wire."""
    response = pb.SendAlertResponse(outcome=_OUTCOMES[type(outcome)])
    if not isinstance(outcome, Taken):
        response.reason = outcome.reason.value
    if isinstance(outcome, Later):
        response.retry_after.CopyFrom(from_seconds(outcome.after))
    return response


def _code(field: str, value: str) -> str:
    if not CODE.fullmatch(value):
        raise InvalidArgument(field=field, problem="must be a code: lower case letters, digits and underscores")
    return value
