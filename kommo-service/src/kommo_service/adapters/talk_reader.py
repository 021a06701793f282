"""Reading a chat's talks: which there are, what they hold, and how much of a message is among it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kommo_service.adapters.rest import Rest
from kommo_service.domain import talks
from kommo_service.domain.classification import Answer, of_read, of_talk_lookup
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import NOTHING_SENT, Finding, Message
from kommo_service.domain.outcomes import Outcome, Reason, RetryLater, Sent, TellPerson, Unclear
from kommo_service.domain.readback import by_bot, progress
from kommo_service.domain.talks import Talk

PAGE = 250
# More than any talk holds that a bot answers; beyond it a reading cannot tell that something is absent.
PAGES_READ = 20
TALKS_READ = 4


@dataclass(frozen=True, slots=True)
class TalkReader:
    """Reads the talks of one account.

    Args:
        rest: the account's REST API.
        is_simulated: the account is the simulator's, where an unknown chat gets another id.
    """

    rest: Rest
    is_simulated: bool

    async def find(self, message: Message, pieces: Sequence[str]) -> Finding:
        """Return how many pieces of a message the chat's talks hold, whichever transport brought them there.

        The caller has taken the first of its requests out of the account's second.
        """
        finding: Finding = NOTHING_SENT
        if is_talk_id(message.talk_id):
            finding = await self._find_in(message.talk_id, message, pieces)
        if finding != NOTHING_SENT:
            return finding
        # The attempt may have found the talk closed and gone to another one.
        self.rest.http.count(Use.READ)
        listed = await self.talks_of_chat(message)
        if isinstance(listed, Outcome):
            return unread(listed)
        for talk in [talk for talk in listed if talk.id != message.talk_id][:TALKS_READ]:
            self.rest.http.count(Use.READ)
            finding = await self._find_in(talk.id, message, pieces)
            if finding != NOTHING_SENT:
                return finding
        return NOTHING_SENT

    async def messages(self, talk_id: str) -> tuple[Sequence[Mapping[str, Any]], float] | Outcome:
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

    async def talks_of_chat(self, message: Message) -> Sequence[Talk] | Outcome:
        """Return the talks of a message's chat, the newest first."""
        filters = {"filter[contact_id]": message.contact_id} if message.contact_id else {}
        listed = await self.listed(filters)
        if isinstance(listed, Outcome):
            return listed
        is_simulated = self.is_simulated and bool(message.contact_id)
        return talks.of_chat(listed, message.chat_id, is_simulated=is_simulated)

    async def listed(self, filters: Mapping[str, str]) -> Sequence[Talk] | Outcome:
        """Return the account's talks, the newest first, as far as they meet Kommo's filters."""
        answer = await self.rest.get("list_talks", "/api/v4/talks", {"limit": str(PAGE), **filters})
        failed = of_talk_lookup(answer)
        if failed is not None:
            return failed
        assert isinstance(answer, Answer)
        return talks.listed(answer.embedded("talks"))

    async def _find_in(self, talk_id: str, message: Message, pieces: Sequence[str]) -> Finding:
        assert message.unclear_since is not None
        read = await self.messages(talk_id)
        if isinstance(read, Outcome):
            return read
        found, drift = read
        done = progress(pieces, by_bot(found), message.unclear_since, drift, message.claimed_ids, talk_id)
        if done.pieces == len(pieces):
            return Sent(done.ids, True, other_than_asked(talk_id, message))
        return done


def is_talk_id(talk_id: str) -> bool:
    """Tell whether a text is an id of a talk, and not something else that would end up in a path."""
    return talk_id.isascii() and talk_id.isdecimal()


def other_than_asked(talk_id: str, message: Message) -> str:
    """Return the talk that took a message where it is another one than was asked for; else nothing."""
    return "" if talk_id == message.talk_id else talk_id


def unread(outcome: Outcome) -> Outcome:
    """Return what a search for talks that failed means where a read-back needed it."""
    if isinstance(outcome, RetryLater | Unclear):
        return Unclear(outcome.after, outcome.reason)
    return TellPerson(Reason.READ_BACK_REFUSED)
