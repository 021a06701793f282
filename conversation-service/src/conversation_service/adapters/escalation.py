"""Calling a person: the floor changes and the hand-over package is written, in one transaction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.conversations import change_floor
from conversation_service.adapters.tables import MESSAGES
from conversation_service.domain.conversation import Conversation, Role
from conversation_service.domain.deliveries import (
    FLOOR_CHANGED,
    Delivery,
    DeliveryKind,
    DeliveryState,
)
from conversation_service.domain.floor import Escalated, Priority
from conversation_service.domain.handoff import ClientWords, HandoffRules, Package, Situation, compose

WORDS_LOOKED_AT = 5


@dataclass(frozen=True, slots=True)
class Escalator:
    """Calls people by the rules of the accounts.

    Args:
        rules_of: what an account wants done.
        new_id: makes ids of deliveries.
    """

    rules_of: Callable[[str], HandoffRules]
    new_id: Callable[[], UUID]

    def escalate(
        self,
        connection: Connection,
        conversation: Conversation,
        event: Escalated,
        now: datetime,
        *,
        turn_id: UUID | None = None,
        undelivered: str = "",
    ) -> Conversation:
        """Return the conversation after a person was called; nothing is written where a person has it already.

        Args:
            connection: the transaction, which holds the conversation's lock.
            conversation: the conversation.
            event: why.
            now: the time of the transaction.
            turn_id: the turn that led here.
            undelivered: the reply that could not be delivered, where that is why.
        """
        if not conversation.floor.is_with_bot:
            return conversation
        called = change_floor(connection, conversation, event, now)
        _end_earlier(connection, called, now)
        situation = _situation(connection, called, event, turn_id, undelivered)
        package = compose(situation, self.rules_of(called.account_id), now)
        return self._write(connection, called, package, turn_id, now)

    def _write(
        self, connection: Connection, conversation: Conversation, package: Package, turn_id: UUID | None, now: datetime
    ) -> Conversation:
        actions = [
            replace(action, id=self.new_id(), turn_id=turn_id, sequence=conversation.delivery_sequence + place)
            for place, action in enumerate(_actions(conversation, package, now), start=1)
        ]
        if not actions:
            return conversation
        outbox_rows.insert_deliveries(connection, actions)
        for action in actions:
            due_at = action.not_before_at or now
            outbox_rows.add_work(connection, conversation.id, conversation.account_id, due_at, action.lane)
        outcomes.set_delivery_sequence(connection, conversation.id, actions[-1].sequence)
        return replace(conversation, delivery_sequence=actions[-1].sequence)


def _actions(conversation: Conversation, package: Package, now: datetime) -> Iterator[Delivery]:
    blank = Delivery(
        id=conversation.id,
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        turn_id=None,
        sequence=0,
        kind=DeliveryKind.NOTE,
        state=DeliveryState.PENDING,
        text="",
        floor_number=conversation.floor.number,
        created_at=now,
        first_unread_at=now,
    )
    if package.task:
        yield replace(blank, kind=DeliveryKind.TASK, text=package.task, details=package.task_details)
    if package.note:
        yield replace(blank, text=package.note)
    if package.lead_changes is not None:
        yield replace(blank, kind=DeliveryKind.LEAD_UPDATE, details=package.lead_changes)


def _end_earlier(connection: Connection, conversation: Conversation, now: datetime) -> None:
    """Drop what waits of earlier hand-overs: the conversation was given back before it left."""
    earlier = outbox_rows.pending_of_hand_overs(connection, conversation.id)
    outbox_rows.save_deliveries(
        connection,
        [replace(one, state=DeliveryState.DROPPED, reason=FLOOR_CHANGED, finished_at=now) for one in earlier],
    )
    # What a worker holds of them ends by its report, which must not hold up the new ones.
    outbox_rows.delete_work(connection, [(conversation.id, one.lane) for one in earlier])


def _situation(
    connection: Connection, conversation: Conversation, event: Escalated, turn_id: UUID | None, undelivered: str
) -> Situation:
    return Situation(
        account_id=conversation.account_id,
        conversation_id=str(conversation.id),
        words=_client_words(connection, conversation),
        last_reply=undelivered or _last_reply(connection, conversation),
        reason=event.reason,
        priority=event.priority or Priority.MEDIUM,
        is_undelivered=bool(undelivered),
        turn_id=str(turn_id) if turn_id else "",
    )


def _client_words(connection: Connection, conversation: Conversation) -> list[ClientWords]:
    """Return the client's words since the bot's last message, or else its newest ones, the oldest first."""
    columns = MESSAGES.c.role, MESSAGES.c.content, MESSAGES.c.content_type, MESSAGES.c.intent
    statement = (
        select(*columns)
        .where(MESSAGES.c.conversation_id == conversation.id)
        .where(MESSAGES.c.role.in_([Role.USER.value, Role.ASSISTANT.value]))
        .where(MESSAGES.c.ingested_at >= conversation.floor.episode_started_at)
        .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.ingested_at.desc(), MESSAGES.c.id.desc())
        .limit(4 * WORDS_LOOKED_AT)
    )
    rows = list(connection.execute(statement))
    while rows and rows[0].role != Role.USER.value:
        rows.pop(0)
    found: list[ClientWords] = []
    for row in rows:
        if row.role != Role.USER.value or len(found) == WORDS_LOOKED_AT:
            break
        found.append(ClientWords(row.content, row.content_type, row.intent or ""))
    return found[::-1]


def _last_reply(connection: Connection, conversation: Conversation) -> str:
    statement = (
        select(MESSAGES.c.content)
        .where(MESSAGES.c.conversation_id == conversation.id, MESSAGES.c.role == Role.ASSISTANT.value)
        .where(MESSAGES.c.ingested_at >= conversation.floor.episode_started_at)
        .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc())
        .limit(1)
    )
    return str(connection.scalar(statement) or "")
