"""Deliveries between Kommo and an account's relay, written in the transaction of the message that they follow."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, update

from conversation_service.adapters import outbox_rows
from conversation_service.adapters.conversations import change_floor
from conversation_service.adapters.relay_chats import free_chat_ref
from conversation_service.adapters.tables import CONVERSATIONS, DELIVERIES, DELIVERY_WORK, MESSAGES
from conversation_service.domain.channel_message import ChannelMessage, RelayStatus
from conversation_service.domain.conversation import Conversation, Role
from conversation_service.domain.deliveries import SAID_LANES, Delivery, DeliveryKind
from conversation_service.domain.floor import PersonWrote
from conversation_service.domain.relaying import is_message, proof_after, relay_of_bot, status_of
from kommomesh_runtime.channel_settings import OWN_ORIGIN

MIRROR_LANE = DeliveryKind.MIRROR.lane


def write(connection: Connection, conversation: Conversation, deliveries: Sequence[Delivery], now: datetime) -> bool:
    """Write those deliveries of a conversation that are not there yet, in order; tell whether there were any.

    The caller has the conversation's lock.
    """
    wanted = [one.id for one in deliveries]
    stored = set(connection.scalars(select(DELIVERIES.c.id).where(DELIVERIES.c.id.in_(wanted)))) if wanted else set()
    new = [one for one in deliveries if one.id not in stored]
    if not new:
        return False
    last = _last_sequence(connection, conversation.id, len(new))
    numbered = [replace(one, sequence=last - len(new) + place) for place, one in enumerate(new, start=1)]
    outbox_rows.insert_deliveries(connection, numbered)
    for lane in sorted({one.lane for one in numbered}):
        outbox_rows.add_work(connection, conversation.id, conversation.account_id, now, lane)
    return True


def relay_bot_words(connection: Connection, conversation: Conversation, settled: Delivery, now: datetime) -> None:
    """Write what brings the bot's words to the relay, once Kommo has them; nothing for accounts without a relay."""
    if conversation.chat_ref_id:
        write(connection, conversation, [relay_of_bot(conversation, settled, now)], now)


def tell_status(
    connection: Connection,
    conversation: Conversation,
    relayed: Delivery,
    status: RelayStatus,
    error: str,
    now: datetime,
) -> bool:
    """Write what tells Kommo how far a relayed message got, once for each status; tell whether it is new."""
    told = status_of(conversation, relayed, status, error, now)
    prove_source(connection, relayed, status, error, now)
    return told is not None and write(connection, conversation, [told], now)


def prove_source(
    connection: Connection, relayed: Delivery, status: RelayStatus | None, reason: str, now: datetime
) -> None:
    """Record with the bot's words what their relay is known to have made of them."""
    details = relayed.details
    source_id = details.source_id if isinstance(details, ChannelMessage) else ""
    source = outbox_rows.find_delivery(connection, UUID(source_id)) if source_id else None
    if source is not None:
        proof = proof_after(source.proof, status, reason, now)
        outbox_rows.save_deliveries(connection, [replace(source, proof=proof)])


def learn_chat_ref(connection: Connection, conversation: Conversation, chat_ref_id: str) -> None:
    """Record Kommo's id of a conversation's chat."""
    free_chat_ref(connection, conversation.account_id, chat_ref_id, conversation.chat_id)
    changed = update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation.id)
    connection.execute(changed.values(kommo_chat_ref_id=chat_ref_id))


def waiting_for_mirror(connection: Connection, conversations: Iterable[Conversation]) -> set[UUID]:
    """Return the conversations in which the client's words are still on their way into Kommo.

    What the company says there has to wait: it would stand above what it answers.
    """
    keys = [(one.id, MIRROR_LANE) for one in conversations if one.origin.startswith(OWN_ORIGIN)]
    pending = outbox_rows.pending_by_lane(connection, keys) if keys else {}
    return {key[0] for key, deliveries in pending.items() if any(is_message(one) for one in deliveries)}


def wake_said(connection: Connection, conversation_id: UUID, now: datetime) -> None:
    """Make due what may have waited for the client's words; what was attempted before waits for its own next time."""
    work = DELIVERY_WORK.c
    waiting = (work.conversation_id == conversation_id, work.lane.in_(SAID_LANES), work.delivery_id.is_(None))
    connection.execute(update(DELIVERY_WORK).where(*waiting, work.due_at > now).values(due_at=now))


def said_by_us(connection: Connection, account_id: str, kommo_message_ids: Collection[str]) -> set[str]:
    """Return those of Kommo's ids under which messages of our own deliveries are stored."""
    columns = MESSAGES.c
    statement = select(columns.kommo_message_id).where(
        columns.account_id == account_id,
        columns.kommo_message_id.in_(sorted(kommo_message_ids)),
        columns.delivery_id.is_not(None),
    )
    return set(connection.scalars(statement))


def recognize_person(
    connection: Connection, conversation: Conversation, kommo_message_id: str, event: PersonWrote, now: datetime
) -> None:
    """Make a message that was taken for a bot's a person's, who has the floor by it; nothing where it is one."""
    columns, counted = MESSAGES.c, CONVERSATIONS.c
    mistaken = (
        columns.account_id == conversation.account_id,
        columns.kommo_message_id == kommo_message_id,
        columns.role == Role.ASSISTANT.value,
        columns.delivery_id.is_(None),
    )
    found = connection.execute(update(MESSAGES).where(*mistaken).values(role=Role.AGENT.value))
    if found.rowcount:
        less = {"bot_message_count": counted.bot_message_count - 1}
        connection.execute(update(CONVERSATIONS).where(counted.id == conversation.id).values(less))
        change_floor(connection, conversation, event, now)


def _last_sequence(connection: Connection, conversation_id: UUID, count: int) -> int:
    changed = update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id)
    counted = changed.values(delivery_sequence=CONVERSATIONS.c.delivery_sequence + count)
    return int(connection.execute(counted.returning(CONVERSATIONS.c.delivery_sequence)).scalar_one())
