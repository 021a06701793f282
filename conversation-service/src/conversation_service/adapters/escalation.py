"""Calling a person: the floor changes and the hand-over package is written, in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from conversation_service.adapters import outbox_rows, outcomes
from conversation_service.adapters.alerts import write_alert
from conversation_service.adapters.conversations import change_floor
from conversation_service.adapters.media_rows import client_words
from conversation_service.adapters.tables import MESSAGES, TURNS
from conversation_service.domain.alerts import AlertDetails, AlertKind, reason_code
from conversation_service.domain.conversation import Conversation, Role
from conversation_service.domain.deliveries import (
    FLOOR_CHANGED,
    Delivery,
    DeliveryKind,
    DeliveryState,
)
from conversation_service.domain.floor import Escalated, Holder, Priority
from conversation_service.domain.handoff import (
    LANGUAGES,
    ClientWords,
    HandoffRules,
    Package,
    Situation,
    compose,
    trace_link,
)
from conversation_service.domain.media import unseen_reason
from conversation_service.domain.waiting import Waiting, WaitingRules, compose_waiting, notice

WORDS_LOOKED_AT = 5
TURNS_LOOKED_AT = 3
# Codes of calls that name none.
CALLED, UNDELIVERED = "called", "undelivered"


@dataclass(frozen=True, slots=True)
class Escalator:
    """Calls people by the rules of the accounts.

    Args:
        rules_of: what an account wants done.
        waiting_of: what it wants said and done while a person is waited for.
        new_id: makes ids of deliveries.
    """

    rules_of: Callable[[str], HandoffRules]
    waiting_of: Callable[[str], WaitingRules]
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
        tells_client: bool = False,
    ) -> Conversation:
        """Return the conversation after a person was called; nothing is written where a person has it already.

        Args:
            connection: the transaction, which holds the conversation's lock.
            conversation: the conversation.
            event: why.
            now: the time of the transaction.
            turn_id: the turn that led here.
            undelivered: the reply that could not be delivered, where that is why.
            tells_client: write the notice too, which a turn brings along by itself.
        """
        if not conversation.floor.is_with_bot:
            return conversation
        called = change_floor(connection, conversation, event, now)
        _end_earlier(connection, called, now)
        rules = self.rules_of(called.account_id)
        words = _client_words(connection, called, rules)
        situation = _situation(connection, called, event, turn_id, undelivered, words)
        waiting_rules = self.waiting_of(called.account_id)
        waiting = compose_waiting(situation, rules, waiting_rules, now)
        told = notice(situation, waiting_rules, now) if tells_client else ""
        blank = _blank(called, turn_id, now)
        actions = [*_actions(blank, compose(situation, rules, now)), *(_follows(blank, waiting) if waiting else ())]
        if told:
            actions.append(replace(blank, kind=DeliveryKind.NOTICE, text=told))
        return self._write(connection, called, actions, now)

    def package_waits(
        self, connection: Connection, conversation: Conversation, action: Delivery, reason: str, now: datetime
    ) -> None:
        """Write, once for each call of a person, that Kommo does not take the package of it.

        Args:
            connection: the transaction, which holds the conversation's lock.
            conversation: the conversation.
            action: the note or the task.
            reason: code of what Kommo said.
            now: the time of the transaction.
        """
        floor, account_id = conversation.floor, conversation.account_id
        is_needed = floor.holder is Holder.PERSON_WAITING and floor.number == action.floor_number
        if not (is_needed and self.waiting_of(account_id).has_alert):
            return
        place = Situation(account_id, str(conversation.id), (), "", "", Priority.MEDIUM, turn_id=_text(action.turn_id))
        details = AlertDetails(
            kind=AlertKind.PACKAGE_WAITING,
            reason=reason_code(reason),
            priority=floor.priority or Priority.MEDIUM,
            since_at=floor.escalated_at or action.created_at,
            trace_url=trace_link(place, self.rules_of(account_id).trace_url),
        )
        write_alert(connection, conversation, details, now, new_id=self.new_id, turn_id=action.turn_id)

    def unseen_reason(self, account_id: str, code: str) -> str:
        """Return, for people, that nobody could be asked to look at what a client sent."""
        return unseen_reason(code, self.rules_of(account_id).language)

    def _write(
        self, connection: Connection, conversation: Conversation, written: Sequence[Delivery], now: datetime
    ) -> Conversation:
        actions = [
            replace(action, id=self.new_id(), sequence=conversation.delivery_sequence + place)
            for place, action in enumerate(written, start=1)
        ]
        if not actions:
            return conversation
        outbox_rows.insert_deliveries(connection, actions)
        for action in actions:
            due_at = action.not_before_at or now
            outbox_rows.add_work(connection, conversation.id, conversation.account_id, due_at, action.lane)
        outcomes.set_delivery_sequence(connection, conversation.id, actions[-1].sequence)
        return replace(conversation, delivery_sequence=actions[-1].sequence)


def _blank(conversation: Conversation, turn_id: UUID | None, now: datetime) -> Delivery:
    return Delivery(
        id=conversation.id,
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        turn_id=turn_id,
        sequence=0,
        kind=DeliveryKind.NOTE,
        state=DeliveryState.PENDING,
        text="",
        floor_number=conversation.floor.number,
        created_at=now,
        first_unread_at=now,
    )


def _actions(blank: Delivery, package: Package) -> Iterator[Delivery]:
    if package.task:
        yield replace(blank, kind=DeliveryKind.TASK, text=package.task, details=package.task_details)
    if package.note:
        yield replace(blank, text=package.note)
    if package.lead_changes is not None:
        yield replace(blank, kind=DeliveryKind.LEAD_UPDATE, details=package.lead_changes)


def _follows(blank: Delivery, waiting: Waiting) -> Iterator[Delivery]:
    # Their age counts from when they are due.
    later = replace(blank, not_before_at=waiting.due_at, first_unread_at=waiting.due_at)
    if waiting.task:
        yield replace(later, kind=DeliveryKind.REMINDER, text=waiting.task, details=waiting.task_details)
    if waiting.alert is not None:
        yield replace(later, kind=DeliveryKind.ALERT, details=waiting.alert)
    if waiting.courtesy:
        yield replace(later, kind=DeliveryKind.COURTESY, text=waiting.courtesy)


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
    connection: Connection,
    conversation: Conversation,
    event: Escalated,
    turn_id: UUID | None,
    undelivered: str,
    words: Sequence[ClientWords],
) -> Situation:
    return Situation(
        account_id=conversation.account_id,
        conversation_id=str(conversation.id),
        words=words,
        last_reply=undelivered or _last_reply(connection, conversation),
        reason=event.reason,
        priority=event.priority or Priority.MEDIUM,
        is_undelivered=bool(undelivered),
        turn_id=_text(turn_id),
        reason_code=reason_code(event.code, UNDELIVERED if event.is_failure else CALLED),
        client_language=_client_language(connection, conversation.id),
    )


def _text(value: UUID | None) -> str:
    return str(value) if value else ""


def _client_language(connection: Connection, conversation_id: UUID) -> str:
    """Return the language that was heard last; empty when none was."""
    statement = (
        select(TURNS.c.analysis)
        .where(TURNS.c.conversation_id == conversation_id)
        .order_by(TURNS.c.leased_at.desc())
        .limit(TURNS_LOOKED_AT)
    )
    heard = (str((analysis or {}).get("language", "")) for analysis in connection.scalars(statement))
    return next((language for language in heard if language in LANGUAGES), "")


def _client_words(connection: Connection, conversation: Conversation, rules: HandoffRules) -> list[ClientWords]:
    """Return the client's words since the bot's last message, or else its newest ones, the oldest first."""
    statement = (
        select(MESSAGES)
        .where(MESSAGES.c.conversation_id == conversation.id)
        .where(MESSAGES.c.role.in_([Role.USER.value, Role.ASSISTANT.value]))
        .where(MESSAGES.c.ingested_at >= conversation.floor.episode_started_at)
        .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.ingested_at.desc(), MESSAGES.c.id.desc())
        .limit(4 * WORDS_LOOKED_AT)
    )
    rows = list(connection.execute(statement).mappings())
    while rows and rows[0]["role"] != Role.USER.value:
        rows.pop(0)
    found: list[ClientWords] = []
    for row in rows:
        if row["role"] != Role.USER.value or len(found) == WORDS_LOOKED_AT:
            break
        found.append(client_words(row, rules.shows_link))
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
