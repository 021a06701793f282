"""Messages between relay and channel, and what became of them, as messages of the contract."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from kommo_service.domain.channel import Channel
from kommo_service.domain.channel_bodies import Client, ClientMessage
from kommo_service.domain.outcomes import FinalOutcome, RetryLater, Sent, Unclear
from kommo_service.domain.relay_posts import RelayMessage
from kommo_service.hand_off_wire import OUTCOMES
from kommomesh.common.v1 import common_pb2
from kommomesh.kommo.v1 import channel_service_pb2 as pb
from kommomesh.kommo.v1 import kommo_service_pb2
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.parsing import from_seconds, require_text, to_time

ID_MAXIMUM = 256
NAME_MAXIMUM = 255
TEXT_MAXIMUM = 65_536
URL_MAXIMUM = 8192
IDS_MAXIMUM = 100
_CHANNELS = {
    common_pb2.CHANNEL_WHATSAPP: Channel.WHATSAPP,
    common_pb2.CHANNEL_INSTAGRAM: Channel.INSTAGRAM,
    common_pb2.CHANNEL_TELEGRAM: Channel.TELEGRAM,
    common_pb2.CHANNEL_FACEBOOK: Channel.FACEBOOK,
}
# What Kommo and relays call it; a file of any other kind is a file.
_MEDIA_TYPES = {
    common_pb2.CONTENT_TYPE_VIDEO: "video",
    common_pb2.CONTENT_TYPE_PICTURE: "picture",
    common_pb2.CONTENT_TYPE_VOICE: "voice",
    common_pb2.CONTENT_TYPE_AUDIO: "audio",
    common_pb2.CONTENT_TYPE_STICKER: "sticker",
}


def client_from_proto(request: pb.OpenChatRequest | pb.MirrorMessageRequest) -> Client:
    """Return the client of a request.

    Raises:
        InvalidArgument: the conversation is missing, or its id too long.
    """
    conversation_id = require_text("conversation_id", request.conversation_id, maximum=ID_MAXIMUM)
    return Client(conversation_id, request.contact_name, request.contact_phone)


def client_message_from_proto(request: pb.MirrorMessageRequest) -> ClientMessage:
    """Return the message of a request.

    Raises:
        InvalidArgument: an id is missing, or there is neither text nor media.
    """
    _require_content(request.text, request.media_url)
    return ClientMessage(
        delivery_id=require_text("delivery_id", request.delivery_id, maximum=ID_MAXIMUM),
        account_id=request.account_id,
        client=client_from_proto(request),
        chat_ref_id=require_text("chat_ref_id", request.chat_ref_id, maximum=ID_MAXIMUM),
        text=request.text,
        media_type=_media_type(request.content_type, request.media_url),
        media_url=request.media_url,
        file_name=request.file_name,
        file_size=request.file_size,
        written_at=to_time(request.write_time),
        start_before=to_time(request.start_before_time),
    )


def relay_message_from_proto(request: pb.RelayMessageRequest) -> RelayMessage:
    """Return the message of a request.

    Raises:
        InvalidArgument: an id is missing, or there is neither text nor media.
    """
    _require_content(request.text, request.media_url)
    return RelayMessage(
        delivery_id=require_text("delivery_id", request.delivery_id, maximum=ID_MAXIMUM),
        account_id=request.account_id,
        conversation_id=require_text("conversation_id", request.conversation_id, maximum=ID_MAXIMUM),
        text=request.text,
        is_person=request.is_person,
        author_name=request.author_name,
        contact_name=request.contact_name,
        contact_phone=request.contact_phone,
        media_type=_media_type(request.content_type, request.media_url),
        media_url=request.media_url,
        file_name=request.file_name,
        channel=_CHANNELS.get(request.channel, Channel.OTHER),
        kommo_message_ids=ids_from_proto(request.kommo_message_ids),
        written_at=to_time(request.write_time),
        start_before=to_time(request.start_before_time),
    )


def ids_from_proto(ids: Iterable[str]) -> tuple[str, ...]:
    """Return Kommo's ids of messages.

    Raises:
        InvalidArgument: there are too many, or one is empty or too long.
    """
    found = tuple(require_text("kommo_message_ids", one, maximum=ID_MAXIMUM) for one in ids)
    if len(found) > IDS_MAXIMUM:
        raise InvalidArgument(field="kommo_message_ids", problem=f"must be at most {IDS_MAXIMUM}")
    return found


def outcome_of(outcome: FinalOutcome) -> "kommo_service_pb2.SendOutcome.ValueType":
    """Return an outcome for the wire."""
    return OUTCOMES[type(outcome)]


def outcome_name(outcome: FinalOutcome) -> str:
    """Return an outcome for logs and metrics."""
    return kommo_service_pb2.SendOutcome.Name(outcome_of(outcome)).removeprefix("SEND_OUTCOME_").lower()


def reason_of(outcome: FinalOutcome) -> str:
    """Return the code of an outcome's reason; empty for a success."""
    return "" if isinstance(outcome, Sent) else outcome.reason.value


def retry_after_of(outcome: FinalOutcome) -> Duration | None:
    """Return how long to wait before the next attempt; None where there is none."""
    return from_seconds(outcome.after) if isinstance(outcome, RetryLater | Unclear) else None


def first_id(outcome: FinalOutcome) -> str:
    """Return the id that Kommo gave; empty where it gave none."""
    return outcome.ids[0] if isinstance(outcome, Sent) and outcome.ids else ""


def _media_type(content_type: int, media_url: str) -> str:
    return _MEDIA_TYPES.get(content_type, "file") if media_url else "text"  # type: ignore[call-overload]


def _require_content(text: str, media_url: str) -> None:
    if not text.strip() and not media_url:
        raise InvalidArgument(field="text", problem="is required where there is no media")
    if len(text) > TEXT_MAXIMUM or len(media_url) > URL_MAXIMUM:
        problem = f"must have at most {TEXT_MAXIMUM} characters, the address of its media {URL_MAXIMUM}"
        raise InvalidArgument(field="text", problem=problem)
