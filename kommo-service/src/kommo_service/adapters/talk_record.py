"""What Kommo's own record says of messages: the proof of delivery, and the messages of a talk for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kommo_service.adapters.own_channel import OwnChannel
from kommo_service.adapters.talk_reader import TALKS_READ, TalkReader, is_talk_id
from kommo_service.domain import delivery_proof
from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.delivery_proof import Found, Shown, Sought, Status
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import Message
from kommo_service.domain.outcomes import Outcome, Reason, RetryLater, TellPerson, TryAnotherWay, Unclear
from kommomesh_runtime.errors import FailedPrecondition, NotFound, Unavailable

OWN_CHANNEL = "own_channel"
AGAIN_SECONDS = 5.0


class TalkNotFound(NotFound):
    """Kommo knows no talk of the number."""

    reason = "TALK_NOT_FOUND"
    text = "account {account_id} has no talk {talk_id}"


class KommoRefused(FailedPrecondition):
    """Kommo does not let the account read that."""

    reason = "KOMMO_REFUSED"
    text = "Kommo does not let account {account_id} read that: {why}"


class KommoUnavailable(Unavailable):
    """Kommo cannot be reached, or does not answer as it should."""

    reason = "KOMMO_UNAVAILABLE"
    text = "Kommo cannot be read for account {account_id} now"


@dataclass(frozen=True, slots=True)
class Chat:
    """The chat whose messages are looked for; unknown ids are empty.

    Args:
        claimed_ids: Kommo's ids of its messages that are other deliveries.
    """

    account_id: str
    chat_id: str
    talk_id: str
    contact_id: str
    origin: str
    claimed_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unread:
    """The record could not be read; after `after` seconds another look may, None where it is of no use."""

    reason: Reason
    after: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages of a talk, and whether there are more."""

    messages: Sequence[Shown]
    has_next: bool


@dataclass(frozen=True, slots=True)
class TalkRecord:
    """Reads Kommo's record of one account.

    Args:
        account_id: for errors.
        reader: reads its talks, or why nothing can.
        own_channel: its own channel; None where it has none.
    """

    account_id: str
    reader: TalkReader | Reason
    own_channel: OwnChannel | None

    async def proofs(self, chat: Chat, sought: Sequence[Sought], *, is_wide: bool) -> Sequence[Found] | Unread:
        """Return how far each of the messages has come, in their order.

        Args:
            chat: where they were said.
            sought: the messages.
            is_wide: whether to look at the chat's other talks for what its newest one does not have.

        Raises:
            KommoRateLimited: the account has no request left; nothing was read.
        """
        channel = self.own_channel
        mirrored = [one for one in sought if channel is not None and _is_mirrored(one, chat, channel)]
        others = [one for one in sought if one not in mirrored]
        found: list[Found] = []
        if channel is not None and mirrored:
            held = await channel.held(chat.chat_id, min(one.sent_at for one in mirrored))
            if isinstance(held, Outcome):
                return _unread(held)
            own_ids = {one.delivery_id: _own_id(chat, one) for one in mirrored}
            found.extend(delivery_proof.by_own_ids(mirrored, held, own_ids))
        if others:
            read = await self._in_talks(chat, others, is_wide=is_wide)
            if isinstance(read, Unread):
                return read
            found.extend(read)
        by_delivery = {one.delivery_id: one for one in found}
        return [by_delivery[one.delivery_id] for one in sought]

    async def page(self, talk_id: str, size: int, number: int) -> Page:
        """Return a page of a talk's messages, in Kommo's order.

        Raises:
            KommoRateLimited: the account has no request left.
            TalkNotFound: Kommo knows no such talk.
            KommoRefused: the account may not read it.
            KommoUnavailable: Kommo does not answer as it should.
        """
        if isinstance(self.reader, Reason):
            raise KommoRefused(account_id=self.account_id, why=self.reader.value)
        http = self.reader.rest.http
        http.admit(Use.READ)
        query = {"limit": str(size), "page": str(number)}
        answer = await self.reader.rest.get("list_messages", f"/api/v4/talks/{talk_id}/messages", query)
        self._check(answer, talk_id)
        if not isinstance(answer, Answer):
            return Page((), has_next=False)
        return Page(delivery_proof.shown(answer.embedded("messages")), answer.has_next)

    async def _in_talks(self, chat: Chat, sought: Sequence[Sought], *, is_wide: bool) -> Sequence[Found] | Unread:
        if isinstance(self.reader, Reason):
            return Unread(self.reader, None)
        http = self.reader.rest.http
        http.admit(Use.READ)
        found: Sequence[Found] = [delivery_proof.absent(one) for one in sought]
        if is_talk_id(chat.talk_id):
            read = await self._found_in(self.reader, chat.talk_id, chat, sought)
            if isinstance(read, Unread) or not is_wide or not _lacks(read):
                return read
            found = read
            http.count(Use.READ)
        listed = await self.reader.talks_of_chat(
            Message("", chat.account_id, chat.chat_id, "", contact_id=chat.contact_id)
        )
        if isinstance(listed, Outcome):
            return _unread(listed)
        for talk in [talk for talk in listed if talk.id != chat.talk_id][:TALKS_READ]:
            if not _lacks(found):
                break
            http.count(Use.READ)
            read = await self._found_in(self.reader, talk.id, chat, sought)
            if isinstance(read, Unread):
                return read
            found = [new if old.status is Status.ABSENT else old for old, new in zip(found, read, strict=True)]
        return found

    async def _found_in(
        self, reader: TalkReader, talk_id: str, chat: Chat, sought: Sequence[Sought]
    ) -> Sequence[Found] | Unread:
        read = await reader.messages(talk_id)
        if isinstance(read, Outcome):
            return _unread(read)
        items, drift = read
        return delivery_proof.proofs(sought, delivery_proof.shown(items), drift, chat.claimed_ids)

    def _check(self, answer: Answer | Failure, talk_id: str) -> None:
        if isinstance(answer, Failure):
            raise KommoUnavailable(retry_after=AGAIN_SECONDS, account_id=self.account_id)
        if 200 <= answer.status < 300:
            return
        if answer.status == 404:
            raise TalkNotFound(account_id=self.account_id, talk_id=talk_id)
        if answer.status in (400, 401, 402) or (answer.status == 403 and not answer.is_html):
            raise KommoRefused(account_id=self.account_id, why=_REFUSALS[answer.status].value)
        raise KommoUnavailable(retry_after=answer.pause_seconds or AGAIN_SECONDS, account_id=self.account_id)


_REFUSALS = {
    400: Reason.UNEXPECTED_ANSWER,
    401: Reason.TOKEN_REFUSED,
    402: Reason.PAYMENT_REQUIRED,
    403: Reason.SCOPE_MISSING,
}


def _is_mirrored(one: Sought, chat: Chat, channel: OwnChannel) -> bool:
    return one.transport == OWN_CHANNEL or (not one.transport and channel.is_own(chat.origin))


def _own_id(chat: Chat, one: Sought) -> str:
    return str(Message(one.delivery_id, chat.account_id, chat.chat_id, one.text).piece_id(0))


def _lacks(found: Sequence[Found]) -> bool:
    return any(one.status is Status.ABSENT for one in found)


def _unread(outcome: Outcome) -> Unread:
    if isinstance(outcome, RetryLater | Unclear):
        return Unread(outcome.reason, outcome.after)
    return Unread(outcome.reason if isinstance(outcome, TryAnotherWay | TellPerson) else Reason.UNEXPECTED_ANSWER, None)


def time_of(message: Shown) -> datetime | None:
    """Return when a message of a talk was written; None when Kommo does not say."""
    return datetime.fromtimestamp(message.created_at, UTC) if message.created_at > 0 else None
