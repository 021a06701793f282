"""The client's side of an own channel: chats, messages and statuses that the relay brought, into Kommo."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_service.adapters.chats import Chats
from kommo_service.domain import history
from kommo_service.domain.channel_bodies import (
    Client,
    ClientMessage,
    Status,
    chat_body,
    message_payload,
    status_body,
)
from kommo_service.domain.classification import (
    Answer,
    Failure,
    is_refusal_of_content,
    objects,
    of_channel_lookup,
    of_channel_send,
    of_read,
)
from kommo_service.domain.limiter import Use
from kommo_service.domain.outcomes import (
    FinalOutcome,
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
)
from kommo_service.domain.route import LEASE_SECONDS

PAGE = 50
PAGES_READ = 10
# There is no other way into Kommo: a secret or a clock that is wrong has to be put right, and the words wait.
REPAIR_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ChannelMirror:
    """Puts what the relay brings into the channel.

    Args:
        chats: the channel's signed requests.
        now: returns the time.
    """

    chats: Chats
    now: Callable[[], datetime]

    async def open_chat(self, client: Client) -> FinalOutcome:
        """Make or find the chat of a conversation; its id is the one of the outcome.

        Raises:
            KommoRateLimited: the account has no request left; nothing was sent.
        """
        self.chats.http.admit(Use.SEND)
        answer = await self.chats.create_chat(chat_body(client))
        if is_refusal_of_content(answer):
            # The same name or phone would be refused for ever, and every reply waits behind it.
            return TellPerson(Reason.CLIENT_REFUSED)
        failed = of_channel_lookup(answer)
        if failed is not None:
            return _waiting(failed)
        chat_id = answer.body.get("id") if isinstance(answer, Answer) else None
        return Sent((str(chat_id),)) if chat_id else RetryLater(REPAIR_SECONDS, Reason.UNEXPECTED_ANSWER)

    async def mirror(self, message: ClientMessage) -> FinalOutcome:
        """Put a message into Kommo; one that Kommo has already is found there and not sent again.

        Raises:
            KommoRateLimited: the account has no request left; nothing was sent.
        """
        now = self.now()
        if message.start_before is not None and now >= message.start_before:
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        self.chats.http.admit(Use.SEND)
        answer = await self.chats.new_message(message_payload(message, now))
        if is_refusal_of_content(answer):
            return await self._of_refusal(message)
        return _waiting(of_channel_send(answer))

    async def tell_status(self, message_ids: Sequence[str], status: Status, error: str) -> FinalOutcome:
        """Tell Kommo how far messages got; one that Kommo does not know is passed over.

        Raises:
            KommoRateLimited: the account has no request left; nothing was sent.
        """
        for message_id in message_ids:
            self.chats.http.admit(Use.SEND)
            answer = await self.chats.set_status(message_id, status_body(message_id, status, error))
            failed = of_channel_lookup(answer)
            if isinstance(failed, RetryLater):
                return failed
            if failed is not None:
                return TellPerson(failed.reason if not isinstance(failed, Sent) else Reason.UNEXPECTED_ANSWER)
        return Sent(())

    async def _of_refusal(self, message: ClientMessage) -> FinalOutcome:
        """Tell a message that Kommo has already from one that it does not take; it refuses both alike."""
        for page in range(PAGES_READ):
            self.chats.http.count(Use.READ)
            answer = await self.chats.history(message.chat_ref_id, page * PAGE, PAGE)
            failed = of_read(answer)
            if failed is not None:
                return failed if not isinstance(failed, TellPerson) else RetryLater(REPAIR_SECONDS, failed.reason)
            messages = _messages(answer)
            known = history.taken(messages)
            if str(message.msgid) in known:
                return Sent((known[str(message.msgid)],), True)
            if len(messages) < PAGE:
                break
        return TellPerson(Reason.INVALID_TEXT)


def _messages(answer: Answer | Failure) -> Sequence[Mapping[str, Any]]:
    return objects(answer.body.get("messages")) if isinstance(answer, Answer) else []


def _waiting(outcome: Outcome) -> FinalOutcome:
    return RetryLater(REPAIR_SECONDS, outcome.reason) if isinstance(outcome, TryAnotherWay) else outcome
