"""What is asked of kommo-service for messages between a relay and Kommo, and what its answers mean."""

from typing import TYPE_CHECKING, Any

from gateway.worker.reports import Report
from kommomesh.conversation.v1 import channel_message_pb2 as channel
from kommomesh.conversation.v1 import conversation_pb2 as conversation
from kommomesh.conversation.v1.outbox_service_pb2 import (
    FailedReport,
    LeasedDelivery,
    OpenedReport,
    RetryReport,
    SentReport,
    SkippedReport,
)
from kommomesh.kommo.v1 import channel_service_pb2 as pb
from kommomesh.kommo.v1 import kommo_service_pb2 as kommo

if TYPE_CHECKING:
    from kommomesh.kommo.v1.channel_service_pb2_grpc import ChannelServiceAsyncStub

KINDS = frozenset({conversation.DELIVERY_KIND_RELAY, conversation.DELIVERY_KIND_MIRROR})
RELAY, MIRROR = "relay", "own_channel"
_TO_KOMMO: dict[int, Any] = {
    channel.RELAY_STATUS_DELIVERED: pb.CHANNEL_STATUS_DELIVERED,
    channel.RELAY_STATUS_READ: pb.CHANNEL_STATUS_READ,
    channel.RELAY_STATUS_FAILED: pb.CHANNEL_STATUS_FAILED,
}
_FROM_RELAY: dict[int, Any] = {number: status for status, number in _TO_KOMMO.items()}
_Answer = pb.OpenChatResponse | pb.MirrorMessageResponse | pb.MirrorStatusResponse | pb.RelayMessageResponse


def is_of_channel(leased: LeasedDelivery) -> bool:
    """Tell whether a delivery goes between a relay and Kommo."""
    return leased.delivery.kind in KINDS


async def carried(channels: "ChannelServiceAsyncStub", leased: LeasedDelivery, timeout: float) -> Report:
    """Carry a leased delivery between relay and Kommo, and return the report of it.

    Raises:
        RemoteError: kommo-service gave no outcome.
    """
    if leased.delivery.kind == conversation.DELIVERY_KIND_RELAY:
        return of_relay(await channels.RelayMessage(relay_request(leased), timeout=timeout))
    if leased.delivery.channel_message.status:
        return of_status(await channels.MirrorStatus(status_request(leased), timeout=timeout))
    if not leased.chat_ref_id:
        return of_chat(await channels.OpenChat(chat_request(leased), timeout=timeout))
    return of_mirror(await channels.MirrorMessage(mirror_request(leased), timeout=timeout))


def chat_request(leased: LeasedDelivery) -> pb.OpenChatRequest:
    """Return the request that makes the chat of a client's first message."""
    return pb.OpenChatRequest(
        account_id=leased.delivery.account_id,
        conversation_id=leased.channel_conversation_id,
        contact_name=leased.contact_name,
        contact_phone=leased.contact_phone,
    )


def mirror_request(leased: LeasedDelivery) -> pb.MirrorMessageRequest:
    """Return the request that puts a client's message into Kommo."""
    details = leased.delivery.channel_message
    request = pb.MirrorMessageRequest(
        delivery_id=leased.delivery.id,
        account_id=leased.delivery.account_id,
        conversation_id=leased.channel_conversation_id,
        chat_ref_id=leased.chat_ref_id,
        contact_name=leased.contact_name,
        contact_phone=leased.contact_phone,
        text=leased.delivery.text,
        content_type=details.content_type,
        media_url=details.media_url,
        file_name=details.file_name,
        file_size=details.file_size,
    )
    _put_times(request, leased)
    return request


def status_request(leased: LeasedDelivery) -> pb.MirrorStatusRequest:
    """Return the request that tells Kommo how far messages got."""
    details = leased.delivery.channel_message
    return pb.MirrorStatusRequest(
        account_id=leased.delivery.account_id,
        kommo_message_ids=details.kommo_message_ids,
        status=_TO_KOMMO.get(details.status, pb.CHANNEL_STATUS_UNSPECIFIED),
        error=details.error,
    )


def relay_request(leased: LeasedDelivery) -> pb.RelayMessageRequest:
    """Return the request that posts a message of the company to the relay."""
    details = leased.delivery.channel_message
    request = pb.RelayMessageRequest(
        delivery_id=leased.delivery.id,
        account_id=leased.delivery.account_id,
        conversation_id=leased.channel_conversation_id,
        contact_name=leased.contact_name,
        contact_phone=leased.contact_phone,
        is_person=details.is_person,
        author_name=details.author_name,
        text=leased.delivery.text,
        content_type=details.content_type,
        media_url=details.media_url,
        file_name=details.file_name,
        channel=leased.channel,
        kommo_message_ids=details.kommo_message_ids,
    )
    _put_times(request, leased)
    return request


def of_chat(response: pb.OpenChatResponse) -> Report:
    """Return the report of a chat that was to be made."""
    if response.outcome == kommo.SEND_OUTCOME_SENT:
        return OpenedReport(chat_ref_id=response.chat_ref_id)
    return _unsent(response)


def of_mirror(response: pb.MirrorMessageResponse) -> Report:
    """Return the report of a client's message that was to go into Kommo."""
    if response.outcome == kommo.SEND_OUTCOME_SENT:
        return SentReport(transport=MIRROR, kommo_message_ids=filter(None, [response.kommo_message_id]))
    return _unsent(response)


def of_status(response: pb.MirrorStatusResponse) -> Report:
    """Return the report of a status; where Kommo does not take it, nobody has to be told."""
    if response.outcome == kommo.SEND_OUTCOME_SENT:
        return SentReport(transport=MIRROR)
    if response.outcome == kommo.SEND_OUTCOME_TELL_PERSON:
        return SkippedReport(reason=response.reason or "status_refused")
    return _unsent(response)


def of_relay(response: pb.RelayMessageResponse) -> Report:
    """Return the report of a message to the relay, with how far it got where the relay knows."""
    if response.outcome == kommo.SEND_OUTCOME_SENT:
        return SentReport(
            transport=RELAY,
            kommo_message_ids=filter(None, [response.relay_message_id]),
            relay_status=_FROM_RELAY.get(response.status, channel.RELAY_STATUS_UNSPECIFIED),
        )
    return _unsent(response)


def _unsent(response: _Answer) -> Report:
    if response.outcome == kommo.SEND_OUTCOME_TELL_PERSON:
        return FailedReport(reason=response.reason or "not_sendable")
    is_unclear = response.outcome != kommo.SEND_OUTCOME_RETRY_LATER
    report = RetryReport(reason=response.reason or ("unclear" if is_unclear else "later"), is_unclear=is_unclear)
    if response.HasField("retry_after"):
        report.retry_after.CopyFrom(response.retry_after)
    return report


def _put_times(request: pb.MirrorMessageRequest | pb.RelayMessageRequest, leased: LeasedDelivery) -> None:
    details = leased.delivery.channel_message
    if details.HasField("write_time"):
        request.write_time.CopyFrom(details.write_time)
    if leased.HasField("start_before_time"):
        request.start_before_time.CopyFrom(leased.start_before_time)
