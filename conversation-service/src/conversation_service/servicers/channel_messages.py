"""Messages between relay and Kommo as messages of the contract."""

from conversation_service.domain.channel_message import ChannelMessage, RelayStatus
from conversation_service.servicers.conversions import CONTENT_TYPES
from kommomesh.common.v1 import common_pb2 as common_pb
from kommomesh.conversation.v1 import channel_message_pb2 as pb
from kommomesh_runtime.parsing import from_time

RELAY_STATUS = {
    RelayStatus.DELIVERED: pb.RELAY_STATUS_DELIVERED,
    RelayStatus.READ: pb.RELAY_STATUS_READ,
    RelayStatus.FAILED: pb.RELAY_STATUS_FAILED,
}
RELAY_STATUS_OF: dict[int, RelayStatus] = {number: status for status, number in RELAY_STATUS.items()}


def channel_message_to_proto(message: ChannelMessage) -> pb.ChannelMessage:
    """Return the details of a delivery between relay and Kommo for the wire."""
    return pb.ChannelMessage(
        content_type=CONTENT_TYPES.get(message.content_type, common_pb.CONTENT_TYPE_OTHER),
        media_url=message.media_url,
        file_name=message.file_name,
        file_size=message.file_size,
        write_time=from_time(message.written_at),
        is_person=message.is_person,
        author_name=message.author_name,
        kommo_message_ids=message.kommo_message_ids,
        status=RELAY_STATUS[message.status] if message.status else pb.RELAY_STATUS_UNSPECIFIED,
        error=message.error,
    )
