"""Rows of conversations: read, lock, change who speaks."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select, update

from conversation_service.adapters.messages import hand_unread_to_person
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES
from conversation_service.adapters.turn_rows import delete_work
from conversation_service.domain.conversation import Conversation, ConversationNotFound
from conversation_service.domain.floor import Floor, FloorEvent, Holder, Priority, Status, after

C = CONVERSATIONS.c

# Built once: to build a statement costs more than to look it up among the compiled ones and to run it.
FIND = select(CONVERSATIONS).where(C.id == bindparam("for_id"))
LOCK = FIND.with_for_update()
FIND_BY_CHAT = select(CONVERSATIONS).where(C.account_id == bindparam("account"), C.kommo_chat_id == bindparam("chat"))
FIND_MANY = select(CONVERSATIONS).where(C.id.in_(bindparam("ids", expanding=True)))


def to_floor(row: RowMapping) -> Floor:
    """Return the floor that a row of `kommo_conversations` holds."""
    return Floor(
        holder=Holder(row["floor_holder"]),
        number=row["floor_number"],
        changed_at=row["floor_changed_at"],
        status=Status(row["status"]),
        episode_started_at=row["episode_started_at"],
        is_failure=row["floor_is_failure"],
        person_last_wrote_at=row["person_last_wrote_at"],
        person_acted_at=row["person_acted_at"],
        released_at=row["released_at"],
        escalated_at=row["escalated_at"],
        resolved_at=row["resolved_at"],
        reason=row["escalation_reason"] or "",
        priority=Priority(row["escalation_priority"]) if row["escalation_priority"] else None,
        assigned_to=row["assigned_to"] or "",
    )


def to_conversation(row: RowMapping) -> Conversation:
    """Return the conversation of a row of `kommo_conversations`."""
    return Conversation(
        id=row["id"],
        account_id=row["account_id"],
        chat_id=row["kommo_chat_id"],
        talk_id=row["kommo_talk_id"] or "",
        talk_event_at=row["talk_event_at"],
        contact_id=row["kommo_contact_id"] or "",
        lead_id=row["kommo_lead_id"] or "",
        phone=row["phone"] or "",
        contact_name=row["contact_name"] or "",
        contact_email=row["contact_email"] or "",
        message_count=row["message_count"],
        bot_message_count=row["bot_message_count"],
        user_message_count=row["user_message_count"],
        last_message_at=row["last_message_at"],
        last_bot_response_at=row["last_bot_response_at"],
        channel=row["channel"] or "",
        origin=row["origin"] or "",
        tags=tuple(row["tags"]),
        floor=to_floor(row),
        delivery_sequence=row["delivery_sequence"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        chat_ref_id=row["kommo_chat_ref_id"] or "",
    )


def floor_columns(floor: Floor) -> dict[str, Any]:
    """Return the columns of `kommo_conversations` that hold a floor."""
    return {
        "floor_holder": floor.holder.value,
        "floor_number": floor.number,
        "floor_changed_at": floor.changed_at,
        "floor_is_failure": floor.is_failure,
        "status": floor.status.value,
        "episode_started_at": floor.episode_started_at,
        "person_last_wrote_at": floor.person_last_wrote_at,
        "person_acted_at": floor.person_acted_at,
        "released_at": floor.released_at,
        "escalated_at": floor.escalated_at,
        "resolved_at": floor.resolved_at,
        "escalation_reason": floor.reason or None,
        "escalation_priority": floor.priority.value if floor.priority else None,
        "assigned_to": floor.assigned_to or None,
    }


def _first(connection: Connection, query: Select[Any], parameters: Mapping[str, object]) -> Conversation | None:
    row = connection.execute(query, parameters).mappings().first()
    return to_conversation(row) if row else None


def find_conversation(connection: Connection, conversation_id: UUID) -> Conversation | None:
    """Return the conversation; None when there is none."""
    return _first(connection, FIND, {"for_id": conversation_id})


def find_by_chat(connection: Connection, account_id: str, chat_id: str) -> Conversation | None:
    """Return the conversation of a chat; None when there is none."""
    return _first(connection, FIND_BY_CHAT, {"account": account_id, "chat": chat_id})


def lock_conversation(connection: Connection, conversation_id: UUID) -> Conversation:
    """Return the conversation, which nobody else changes until the transaction ends.

    Whoever changes turns, deliveries or messages of a conversation locks it first, so that all lock in one order.

    Raises:
        ConversationNotFound: no conversation has the id.
    """
    found = _first(connection, LOCK, {"for_id": conversation_id})
    if found is None:
        raise ConversationNotFound(conversation_id=str(conversation_id))
    return found


def find_conversations(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Conversation]:
    """Return the conversations of the ids, by id."""
    rows = connection.execute(FIND_MANY, {"ids": list(ids)}).mappings()
    return {row["id"]: to_conversation(row) for row in rows}


def count_unread(connection: Connection, ids: Collection[UUID]) -> dict[UUID, int]:
    """Return by conversation how many client messages no turn has read; none are left out."""
    query = (
        select(MESSAGES.c.conversation_id, func.count())
        .where(
            MESSAGES.c.conversation_id.in_(ids),
            MESSAGES.c.role == "user",
            MESSAGES.c.outcome.is_(None),
            MESSAGES.c.turn_id.is_(None),
        )
        .group_by(MESSAGES.c.conversation_id)
    )
    return dict(connection.execute(query).all())


def list_conversations(
    connection: Connection,
    account_id: str,
    status: Status | None,
    size: int,
    before: tuple[datetime, UUID] | None,
) -> list[Conversation]:
    """Return at most `size` conversations of an account, the newest message first.

    Args:
        connection: the transaction.
        account_id: the account.
        status: only those of this status; None means all.
        size: at most so many.
        before: time of the newest message and id of the one to go on after; None begins.
    """
    query = select(CONVERSATIONS).where(C.account_id == account_id)
    if status is not None:
        query = query.where(C.status == status.value)
    if before is not None:
        at, conversation_id = before
        query = query.where((C.last_message_at < at) | ((C.last_message_at == at) & (C.id < conversation_id)))
    query = query.order_by(C.last_message_at.desc(), C.id.desc()).limit(size)
    return [to_conversation(row) for row in connection.execute(query).mappings()]


def change_floor(connection: Connection, conversation: Conversation, event: FloorEvent, now: datetime) -> Conversation:
    """Return the conversation after an event of the floor, and store it.

    When a person gets the floor, what nobody has read yet is theirs and no turn is due any more. The caller has locked
    the conversation.
    """
    floor = after(conversation.floor, event, now)
    connection.execute(
        update(CONVERSATIONS).where(C.id == conversation.id).values(updated_at=now, **floor_columns(floor))
    )
    if not floor.is_with_bot:
        hand_unread_to_person(connection, [conversation.id])
        delete_work(connection, [conversation.id])
    return find_conversation(connection, conversation.id) or conversation
