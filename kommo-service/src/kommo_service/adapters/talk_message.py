"""Replies into any talk of the account: `POST /api/v4/talks/{talk_id}/send_message`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_service.adapters.rest import Rest
from kommo_service.domain import talks
from kommo_service.domain.classification import Answer, of_read, of_talk_lookup, of_talk_send
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import (
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    Unclear,
    after_part,
)
from kommo_service.domain.readback import by_bot, progress
from kommo_service.domain.rendering import TALK_MESSAGE_LIMIT, render, split
from kommo_service.domain.route import LEASE_SECONDS
from kommo_service.domain.talks import Talk

PAGE = 250
# More than any talk holds that a bot answers; beyond it a reading cannot tell that something is absent.
PAGES_READ = 20
TALKS_READ = 4
_ELSEWHERE = (Reason.TALK_CLOSED, Reason.TALK_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class TalkMessage:
    """The transport `talk_message` of one account.

    Kommo knows no idempotency key here, so what became of an unclear attempt is read from the talk.

    Args:
        rest: the account's REST API.
        is_simulated: the account is the simulator's, where an unknown chat gets another id.
        now: returns the time.
    """

    rest: Rest
    is_simulated: bool
    now: Callable[[], datetime]
    name: str = "talk_message"

    async def find(self, message: Message) -> Finding:
        """Return how much of a message the chat's talks hold; see `Transport`."""
        self.rest.http.admit(Use.READ)
        finding: Finding = NOTHING_SENT
        if _is_talk_id(message.talk_id):
            finding = await self._find_in(message.talk_id, message)
        if finding != NOTHING_SENT:
            return finding
        # The attempt may have found the talk closed and gone to another one.
        self.rest.http.count(Use.READ)
        listed = await self._talks(message)
        if isinstance(listed, Outcome):
            return _unread(listed)
        for talk in [talk for talk in listed if talk.id != message.talk_id][:TALKS_READ]:
            self.rest.http.count(Use.READ)
            finding = await self._find_in(talk.id, message)
            if finding != NOTHING_SENT:
                return finding
        return NOTHING_SENT

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Send the missing pieces into the message's talk, or into the chat's open one; see `Transport`."""
        pieces = _pieces(message)
        self.rest.http.admit(Use.SEND, len(pieces) - progress.pieces)
        talk_id = progress.talk_id or message.talk_id
        outcome: Outcome = TryAnotherWay(Reason.NO_TALK)
        if _is_talk_id(talk_id):
            outcome = await self._send_pieces(talk_id, pieces, message, progress)
        if isinstance(outcome, TryAnotherWay) and outcome.reason in (*_ELSEWHERE, Reason.NO_TALK):
            return await self._send_elsewhere(talk_id, pieces, message, outcome)
        return outcome

    async def _send_elsewhere(
        self, talk_id: str, pieces: Sequence[str], message: Message, refused: TryAnotherWay
    ) -> Outcome:
        """Send everything into the chat's open talk, since the one that was asked for took nothing."""
        self.rest.http.count(Use.READ)
        listed = await self._talks(message)
        if isinstance(listed, Outcome):
            return listed
        talk = talks.newest_open(listed, other_than=talk_id)
        if talk is None:
            return refused
        return await self._send_pieces(talk.id, pieces, message, NOTHING_SENT)

    async def _send_pieces(self, talk_id: str, pieces: Sequence[str], message: Message, progress: Progress) -> Outcome:
        ids = list(progress.ids)
        for number, piece in enumerate(pieces[progress.pieces :], start=progress.pieces):
            outcome = await self._send_piece(talk_id, piece, message)
            if not isinstance(outcome, Sent):
                return after_part(outcome) if number else outcome
            ids.extend(outcome.ids)
        return Sent(tuple(ids), False, _other(talk_id, message))

    async def _send_piece(self, talk_id: str, piece: str, message: Message) -> Outcome:
        if not message.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        return of_talk_send(
            await self.rest.post("send_message", f"/api/v4/talks/{talk_id}/send_message", {"text": piece})
        )

    async def _find_in(self, talk_id: str, message: Message) -> Finding:
        assert message.unclear_since is not None
        read = await self._read(talk_id)
        if isinstance(read, Outcome):
            return read
        pieces, (found, drift) = _pieces(message), read
        done = progress(pieces, by_bot(found), message.unclear_since, drift, message.claimed_ids, talk_id)
        if done.pieces == len(pieces):
            return Sent(done.ids, True, _other(talk_id, message))
        return done

    async def _read(self, talk_id: str) -> tuple[Sequence[Mapping[str, Any]], float] | Outcome:
        """Return all messages of a talk, because Kommo lists them in no order, and how far its clock is ahead."""
        found: list[Mapping[str, Any]] = []
        for page in range(1, PAGES_READ + 1):
            if page > 1:
                self.rest.http.count(Use.READ)
            query = {"limit": str(PAGE), "page": str(page)}
            answer = await self.rest.get("list_messages", f"/api/v4/talks/{talk_id}/messages", query)
            failed = of_read(answer)
            if failed is not None:
                return failed
            assert isinstance(answer, Answer)
            items = answer.embedded("messages")
            found.extend(items)
            if not items or not answer.has_next:
                return found, answer.drift_seconds
        return TellPerson(Reason.READ_BACK_REFUSED)

    async def _talks(self, message: Message) -> Sequence[Talk] | Outcome:
        query = {"limit": str(PAGE)}
        if message.contact_id:
            query["filter[contact_id]"] = message.contact_id
        answer = await self.rest.get("list_talks", "/api/v4/talks", query)
        failed = of_talk_lookup(answer)
        if failed is not None:
            return failed
        assert isinstance(answer, Answer)
        listed = talks.listed(answer.embedded("talks"))
        is_simulated = self.is_simulated and bool(message.contact_id)
        return talks.of_chat(listed, message.chat_id, is_simulated=is_simulated)


def _pieces(message: Message) -> Sequence[str]:
    return split(render(message.text, message.channel), TALK_MESSAGE_LIMIT)


def _is_talk_id(talk_id: str) -> bool:
    return talk_id.isascii() and talk_id.isdecimal()


def _other(talk_id: str, message: Message) -> str:
    return "" if talk_id == message.talk_id else talk_id


def _unread(outcome: Outcome) -> Outcome:
    """Return what a search for talks that failed means where a read-back needed it."""
    if isinstance(outcome, RetryLater | Unclear):
        return Unclear(outcome.after, outcome.reason)
    return TellPerson(Reason.READ_BACK_REFUSED)
