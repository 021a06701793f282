"""Changing who speaks in a conversation, each request once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from conversation_service.adapters.conversations import change_floor, lock_conversation
from conversation_service.adapters.escalation import Escalator
from conversation_service.adapters.requests import claim_request
from conversation_service.adapters.store import Store
from conversation_service.domain.conversation import Conversation
from conversation_service.domain.floor import Escalated, FloorEvent, Priority, Released, Resolved, TakenOver, require
from conversation_service.use_cases.account_rules import escalator_of
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.profiles import Profiles

# Why a person is called, where somebody asked for it from outside.
REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class FloorUseCases:
    """The verbs of people, bound to one store. A repeated request returns the conversation as it is now.

    Args:
        accounts: what they want done when a person is called.
        new_id: makes ids of deliveries.
        profiles: the accounts' hours and fixed texts.
    """

    store: Store
    accounts: Accounts
    new_id: Callable[[], UUID] = uuid4
    profiles: Profiles = field(default_factory=Profiles)

    async def take_over(self, conversation_id: UUID, request_id: UUID, person: str) -> Conversation:
        """Give the floor to a person and return the conversation; what waits to be sent is dropped.

        Raises:
            ConversationNotFound: no conversation has the id.
            RequestIdReused: the request id was used for something else.
        """
        return await self._change("TakeOver", conversation_id, request_id, TakenOver(person))

    async def release_to_bot(self, conversation_id: UUID, request_id: UUID) -> Conversation:
        """Give the floor back to the bot, in a new episode, and return the conversation.

        Raises:
            ConversationNotFound: no conversation has the id.
            ConversationNotEscalated: the bot has it.
            RequestIdReused: the request id was used for something else.
        """
        return await self._change("ReleaseToBot", conversation_id, request_id, Released())

    async def escalate(self, conversation_id: UUID, request_id: UUID, reason: str, priority: Priority) -> Conversation:
        """Call a person, tell the client, and return the conversation.

        Raises:
            ConversationNotFound: no conversation has the id.
            ConversationEscalated: a person has it.
            RequestIdReused: the request id was used for something else.
        """
        event = Escalated(reason, priority, code=REQUESTED)
        called = await self._change("EscalateConversation", conversation_id, request_id, event)
        self.store.wake("deliveries")
        return called

    async def resolve(self, conversation_id: UUID, request_id: UUID) -> Conversation:
        """End the episode and return the conversation.

        Raises:
            ConversationNotFound: no conversation has the id.
            ConversationEnded: it has ended.
            RequestIdReused: the request id was used for something else.
        """
        return await self._change("ResolveConversation", conversation_id, request_id, Resolved())

    async def _change(self, method: str, conversation_id: UUID, request_id: UUID, event: FloorEvent) -> Conversation:
        escalator = escalator_of(self.accounts, self.profiles, self.new_id)
        return await self.store.write(_changing(method, conversation_id, request_id, event, escalator))


def _changing(
    method: str, conversation_id: UUID, request_id: UUID, event: FloorEvent, escalator: Escalator
) -> Callable[[Connection, datetime], Any]:
    def change(connection: Connection, now: datetime) -> Conversation:
        found = lock_conversation(connection, conversation_id)
        if not claim_request(connection, request_id, method, conversation_id, now):
            return found
        require(found.floor, event, str(conversation_id))
        if isinstance(event, Escalated):
            return escalator.escalate(connection, found, event, now, tells_client=True)
        return change_floor(connection, found, event, now)

    return change
