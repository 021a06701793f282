"""GetDeliveryProof and ListTalkMessages as messages of the contract."""

from kommo_service.account_checks import find_account
from kommo_service.adapters.metrics import PROOFS
from kommo_service.adapters.routes import Routes
from kommo_service.adapters.talk_reader import is_talk_id
from kommo_service.adapters.talk_record import Chat, Unread, time_of
from kommo_service.domain.delivery_proof import Found, Shown, Sought, Status
from kommomesh.kommo.v1 import delivery_proof_pb2 as pb
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.errors import InvalidArgument
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.parsing import (
    decode_page_token,
    encode_page_token,
    from_seconds,
    from_time,
    page_size,
    require_text,
    to_time,
)

ID_MAXIMUM = 256
TEXT_MAXIMUM = 4096
MOST_SOUGHT = 50
MOST_IDS = 100
TALK_ID_MAXIMUM = 20
_STATUS = {
    Status.ERROR: pb.DELIVERY_STATUS_ERROR,
    Status.ABSENT: pb.DELIVERY_STATUS_UNSPECIFIED,
    Status.SENT: pb.DELIVERY_STATUS_SENT,
    Status.DELIVERED: pb.DELIVERY_STATUS_DELIVERED,
    Status.READ: pb.DELIVERY_STATUS_READ,
}
_AUTHOR = {
    "external": pb.TALK_AUTHOR_CLIENT,
    "internal": pb.TALK_AUTHOR_PERSON,
    "bot": pb.TALK_AUTHOR_BOT,
}

log = get_logger()


async def proofs_of(routes: Routes, request: pb.GetDeliveryProofRequest) -> pb.GetDeliveryProofResponse:
    """Return how far the messages of a request have come.

    Raises:
        InvalidArgument: a field is missing or wrong.
        AccountNotFound: no configured account has the id.
        KommoRateLimited: the account has no request left; nothing was read.
    """
    chat, sought = _chat(request), _sought(request)
    record = routes.record(chat.account_id)
    read = await record.proofs(chat, sought, is_wide=request.search_other_talks)
    if isinstance(read, Unread):
        PROOFS.labels("unread").inc()
        log.warning("proof.unread", account_id=chat.account_id, reason=read.reason.value)
        after = None if read.after is None else from_seconds(read.after)
        return pb.GetDeliveryProofResponse(failure_reason=read.reason.value, retry_after=after)
    for one in read:
        PROOFS.labels(one.status.name.lower()).inc()
    return pb.GetDeliveryProofResponse(proofs=[_proof(one) for one in read])


async def talk_messages(
    routes: Routes, accounts: Accounts, request: pb.ListTalkMessagesRequest
) -> pb.ListTalkMessagesResponse:
    """Return a page of a talk's messages.

    Raises:
        InvalidArgument: a field is missing or wrong.
        AccountNotFound: no account has the id or subdomain.
        TalkNotFound: Kommo knows no such talk.
        KommoRefused: the account may not read it.
        KommoUnavailable: Kommo does not answer as it should.
        KommoRateLimited: the account has no request left.
    """
    account = find_account(accounts, require_text("account", request.account, maximum=ID_MAXIMUM))
    talk_id = require_text("talk_id", request.talk_id, maximum=TALK_ID_MAXIMUM)
    if not is_talk_id(talk_id):
        raise InvalidArgument(field="talk_id", problem="must be a number")
    size, number = _place(request)
    page = await routes.record(account.id).page(talk_id, size, number)
    token = encode_page_token(str(size), str(number + 1)) if page.has_next else ""
    return pb.ListTalkMessagesResponse(messages=[_message(one) for one in page.messages], next_page_token=token)


def _place(request: pb.ListTalkMessagesRequest) -> tuple[int, int]:
    """Return size and number of the page; Kommo counts pages, so those of one list have one size."""
    size = page_size(request.page_size)
    parts = decode_page_token(request.page_token, 2)
    if parts is None:
        return size, 1
    if not all(part.isascii() and part.isdecimal() and 0 < int(part) <= 10**6 for part in parts):
        raise InvalidArgument(field="page_token", problem="must be a next_page_token of the same list")
    return page_size(int(parts[0])), int(parts[1])


def _chat(request: pb.GetDeliveryProofRequest) -> Chat:
    return Chat(
        account_id=require_text("account_id", request.account_id, maximum=ID_MAXIMUM),
        chat_id=require_text("chat_id", request.chat_id, maximum=ID_MAXIMUM),
        talk_id=request.talk_id,
        contact_id=request.contact_id,
        origin=request.origin,
        claimed_ids=frozenset(request.claimed_kommo_message_ids),
    )


def _sought(request: pb.GetDeliveryProofRequest) -> list[Sought]:
    if not 0 < len(request.messages) <= MOST_SOUGHT:
        raise InvalidArgument(field="messages", problem=f"must be 1 to {MOST_SOUGHT}")
    return [_sought_one(one) for one in request.messages]


def _sought_one(one: pb.SoughtMessage) -> Sought:
    sent_at = to_time(one.send_time)
    if sent_at is None:
        raise InvalidArgument(field="messages.send_time", problem="is required")
    if len(one.kommo_message_ids) > MOST_IDS:
        raise InvalidArgument(field="messages.kommo_message_ids", problem=f"must be at most {MOST_IDS}")
    return Sought(
        delivery_id=require_text("messages.delivery_id", one.delivery_id, maximum=ID_MAXIMUM),
        transport=one.transport,
        kommo_ids=tuple(one.kommo_message_ids),
        text=require_text("messages.text", one.text, maximum=TEXT_MAXIMUM),
        sent_at=sent_at,
    )


def _proof(found: Found) -> pb.DeliveryProof:
    return pb.DeliveryProof(
        delivery_id=found.delivery_id,
        status=_STATUS[found.status],
        source=found.source,
        error_code=found.error_code,
        kommo_message_ids=found.kommo_ids,
    )


def _message(shown: Shown) -> pb.TalkMessage:
    return pb.TalkMessage(
        id=shown.id,
        author=_AUTHOR.get(shown.author, pb.TALK_AUTHOR_UNSPECIFIED),
        author_name=shown.author_name,
        message_type=shown.message_type,
        text=shown.text,
        create_time=from_time(time_of(shown)),
        delivery_status=_STATUS[shown.status] if shown.is_outgoing else pb.DELIVERY_STATUS_UNSPECIFIED,
        error_code=shown.error_code,
        error=shown.error,
    )
