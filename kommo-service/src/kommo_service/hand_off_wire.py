"""Hand-overs as messages of the contract."""

from kommo_service.domain.hand_off import Action, HandOff, LeadUpdate, Note, Skipped, Task
from kommo_service.domain.outcomes import FinalOutcome, RetryLater, Sent, TellPerson, Unclear
from kommomesh.kommo.v1 import kommo_service_pb2 as pb
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import from_seconds, require_text, to_time

TEXT_MAXIMUM = 4096
ID_MAXIMUM = 256
TAGS_MAXIMUM = 100
TAG_MAXIMUM = 255
OUTCOMES = {
    Sent: pb.SEND_OUTCOME_SENT,
    RetryLater: pb.SEND_OUTCOME_RETRY_LATER,
    Unclear: pb.SEND_OUTCOME_UNCLEAR,
    TellPerson: pb.SEND_OUTCOME_TELL_PERSON,
    Skipped: pb.SEND_OUTCOME_SKIPPED,
}


def hand_off_from_proto(request: pb.HandOffRequest) -> HandOff:
    """Return the action of a request.

    Raises:
        InvalidArgument: a field is missing, too long or stands alone.
    """
    return HandOff(
        delivery_id=require_text("delivery_id", request.delivery_id, maximum=ID_MAXIMUM),
        account_id=require_text("account_id", request.account_id, maximum=ID_MAXIMUM),
        action=_action(request),
        talk_id=request.talk_id,
        contact_id=request.contact_id,
        lead_id=request.lead_id,
        start_before=to_time(request.start_before_time),
        unclear_since=to_time(request.unclear_since_time),
    )


def outcome_to_proto(outcome: FinalOutcome | Skipped) -> pb.HandOffResponse:
    """Return what became of an action for the wire."""
    response = pb.HandOffResponse(outcome=OUTCOMES[type(outcome)])
    match outcome:
        case Sent(ids=ids, is_read_back=is_read_back):
            response.kommo_id = ids[0] if ids else ""
            response.found_by_reading_back = is_read_back
        case RetryLater(after=after, reason=reason) | Unclear(after=after, reason=reason):
            response.reason = reason.value
            response.retry_after.CopyFrom(from_seconds(after))
        case TellPerson(reason=reason) | Skipped(reason=reason):
            response.reason = reason.value
    return response


def _action(request: pb.HandOffRequest) -> Action:
    match request.WhichOneof("action"):
        case "note":
            return Note(require_text("note.text", request.note.text, maximum=TEXT_MAXIMUM))
        case "task":
            return _task(request.task)
        case "lead_update":
            return _lead_update(request.lead_update)
        case _:
            raise InvalidArgument(field="action", problem="is required")


def _task(task: pb.HandOffTask) -> Task:
    text = require_text("task.text", task.text, maximum=TEXT_MAXIMUM)
    due_at = to_time(task.due_time) if task.HasField("due_time") else None
    if due_at is None:
        raise InvalidArgument(field="task.due_time", problem="is required")
    return Task(text, due_at, _id("task.responsible_user_id", task.responsible_user_id))


def _lead_update(update: pb.HandOffLeadUpdate) -> LeadUpdate:
    if len(update.tags) > TAGS_MAXIMUM:
        raise InvalidArgument(field="lead_update.tags", problem=f"must be at most {TAGS_MAXIMUM}")
    found = LeadUpdate(
        _id("lead_update.responsible_user_id", update.responsible_user_id),
        _id("lead_update.pipeline_id", update.pipeline_id),
        _id("lead_update.status_id", update.status_id),
        tuple(require_text("lead_update.tags", tag, maximum=TAG_MAXIMUM) for tag in update.tags),
    )
    if (found.pipeline_id is None) != (found.status_id is None):
        raise InvalidArgument(field="lead_update.status_id", problem="needs its pipeline_id, and the other way round")
    if found == LeadUpdate():
        raise InvalidArgument(field="lead_update", problem="changes nothing")
    return found


def _id(field: str, value: int) -> int | None:
    if value < 0:
        raise InvalidArgument(field=field, problem="must not be negative")
    return value or None
