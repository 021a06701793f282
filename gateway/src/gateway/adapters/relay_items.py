"""Items of accounts with a relay: what the relay brings, and Kommo's own events of the channel's chats."""

from uuid import UUID, uuid4

from gateway.adapters.ingest_items import CHANNELS, to_item
from gateway.domain.events import AuthorKind, Channel, CompanyMessage, Event, SalesbotWait
from gateway.domain.relay_posts import RelayedStatus, RelayPost, RelayStatus
from kommomesh.conversation.v1 import channel_message_pb2 as channel_pb
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.accounts import Account

STATUSES = {
    RelayStatus.DELIVERED: channel_pb.RELAY_STATUS_DELIVERED,
    RelayStatus.READ: channel_pb.RELAY_STATUS_READ,
    RelayStatus.FAILED: channel_pb.RELAY_STATUS_FAILED,
}


def messenger_of(account: Account) -> Channel:
    """Return where the clients of an account's own channel read."""
    return Channel(account.channel.messenger) if account.channel else Channel.OTHER


def item_of_post(account_id: str, post: RelayPost, request_id: UUID) -> service_pb.IngestItem:
    """Return the item that stores a post of a relay; it names this arrival of the request.

    Args:
        account_id: the account.
        post: the post.
        request_id: the id that the relay signed.
    """
    request = channel_pb.RelayRequest(request_id=str(request_id), arrival_id=str(uuid4()))
    if isinstance(post, RelayedStatus):
        told = channel_pb.MessageStatus(
            delivery_id=str(post.delivery_id), status=STATUSES[post.status], error=post.error
        )
        return service_pb.IngestItem(account_id=account_id, message_status=told, relay_request=request)
    item = to_item(account_id, post.message)
    item.client_message.is_from_relay = True
    item.client_message.file_size = post.file_size
    item.contact_phone = post.phone
    item.relay_request.CopyFrom(request)
    return item


def item_of_event(account: Account, event: Event) -> service_pb.IngestItem:
    """Return the item that stores an event of Kommo.

    In the own channel of an account with a relay, what Kommo calls a client's message is the copy of one that the relay
    brought, and what people write there has to go to the relay.
    """
    item = to_item(account.id, event)
    channel = account.channel
    if isinstance(event, SalesbotWait) or channel is None or not channel.relay_url:
        return item
    if not channel.owns(event.chat.origin):
        return item
    item.chat_ref_id = event.chat.chat_id
    item.chat_id = event.chat.conversation_id or event.chat.chat_id
    item.contact_phone = event.chat.contact_phone
    # The relay knows better where its clients read than the origin, which is the same for every own channel.
    item.channel = CHANNELS[messenger_of(account)]
    if item.HasField("client_message"):
        item.client_message.is_mirrored_copy = True
    elif isinstance(event, CompanyMessage):
        item.company_message.is_for_relay = _is_for_relay(event, channel.bot_id)
    return item


def _is_for_relay(event: CompanyMessage, bot_id: str) -> bool:
    if event.author_kind is AuthorKind.PERSON:
        return True
    # Other bots of the account write there too; only the channel's owner is asked to deliver that, not each subscriber.
    return event.is_for_owner and event.author_id.lower() != bot_id.lower()
