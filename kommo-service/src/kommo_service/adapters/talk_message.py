"""Replies into any talk of the account: `POST /api/v4/talks/{talk_id}/send_message`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kommo_service.adapters.rest import Rest
from kommo_service.adapters.talk_reader import TalkReader, is_talk_id, other_than_asked
from kommo_service.domain import talks
from kommo_service.domain.classification import of_talk_send
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import (
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TryAnotherWay,
    after_part,
)
from kommo_service.domain.rendering import TALK_MESSAGE_LIMIT, render, split
from kommo_service.domain.route import LEASE_SECONDS

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
        return await self._reader.find(message, _pieces(message))

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Send the missing pieces into the message's talk, or into the chat's open one; see `Transport`."""
        pieces = _pieces(message)
        self.rest.http.admit(Use.SEND, len(pieces) - progress.pieces)
        talk_id = progress.talk_id or message.talk_id
        outcome: Outcome = TryAnotherWay(Reason.NO_TALK)
        if is_talk_id(talk_id):
            outcome = await self._send_pieces(talk_id, pieces, message, progress)
        if isinstance(outcome, TryAnotherWay) and outcome.reason in (*_ELSEWHERE, Reason.NO_TALK):
            return await self._send_elsewhere(talk_id, pieces, message, outcome)
        return outcome

    @property
    def _reader(self) -> TalkReader:
        return TalkReader(self.rest, self.is_simulated)

    async def _send_elsewhere(
        self, talk_id: str, pieces: Sequence[str], message: Message, refused: TryAnotherWay
    ) -> Outcome:
        """Send everything into the chat's open talk, since the one that was asked for took nothing."""
        self.rest.http.count(Use.READ)
        listed = await self._reader.talks_of_chat(message)
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
        return Sent(tuple(ids), False, other_than_asked(talk_id, message))

    async def _send_piece(self, talk_id: str, piece: str, message: Message) -> Outcome:
        if not message.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        return of_talk_send(
            await self.rest.post("send_message", f"/api/v4/talks/{talk_id}/send_message", {"text": piece})
        )


def _pieces(message: Message) -> Sequence[str]:
    return split(render(message.text, message.channel), TALK_MESSAGE_LIMIT)
