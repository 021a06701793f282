"""Replies to a Salesbot that waits for them: it is told how to go on at the address that it gave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from kommo_service.adapters.rest import Rest
from kommo_service.adapters.talk_reader import TalkReader
from kommo_service.domain.classification import of_continuation
from kommo_service.domain.continuation import ReturnMode, continuation_body, pieces
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import Outcome, Reason, RetryLater, Sent, TellPerson, TryAnotherWay, Unclear
from kommo_service.domain.rendering import render
from kommo_service.domain.route import LEASE_SECONDS
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.return_urls import is_return_url

log = get_logger()


@dataclass(frozen=True, slots=True)
class SalesbotReturn:
    """The transport `salesbot_return` of one account.

    Kommo takes a continuation once, so the same one may be tried again: a second answer is refused. What then does
    not show in the talk goes to a person, because a bot that was told may still speak.

    Args:
        account: whose bots may be continued.
        reader: reads the chat's talks.
        rest_of: returns the REST API at a base address.
        mode: how the bot is told.
        wait_seconds: how long a bot may take to speak.
        now: returns the time.
    """

    account: Account
    reader: TalkReader
    rest_of: Callable[[str], Rest]
    mode: ReturnMode
    wait_seconds: float
    now: Callable[[], datetime]
    name: str = "salesbot_return"

    async def find(self, message: Message) -> Finding:
        """Return whether the bot has said a message; it is waited for before it counts as not said. See `Transport`."""
        assert message.unclear_since is not None
        self.reader.rest.http.admit(Use.READ)
        found = await self.reader.find(message, self._pieces(message))
        if isinstance(found, Outcome):
            return found
        if found.pieces:
            # They left together, in one request: what is missing follows.
            return Sent(found.ids, True, "" if found.talk_id == message.talk_id else found.talk_id)
        left = self.wait_seconds - (self.now() - message.unclear_since).total_seconds()
        return Unclear(left, Reason.NOT_SETTLED) if left > 0 else NOTHING_SENT

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Tell the bot that waits; see `Transport`."""
        continuation = message.continuation
        if continuation is None:
            return TryAnotherWay(Reason.NO_CONTINUATION)
        if not is_return_url(continuation.return_url, self.account):
            # Its text stays out of the log: who wrote it chose it.
            log.warning("return_url.refused", account_id=message.account_id, delivery_id=message.delivery_id)
            return TryAnotherWay(Reason.RETURN_URL_REFUSED)
        body = continuation_body(render(message.text, message.channel), self.mode)
        if body is None:
            return TryAnotherWay(Reason.TEXT_TOO_LONG)
        if continuation.expires_at <= self.now():
            return _ended(message, Reason.CONTINUATION_EXPIRED)
        address = urlsplit(continuation.return_url)
        rest = self.rest_of(f"{address.scheme}://{address.netloc}")
        rest.http.admit(Use.SEND)
        if not message.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        outcome = of_continuation(await rest.post("continue_bot", address.path, body))
        if isinstance(outcome, TryAnotherWay) and outcome.reason is Reason.CONTINUATION_GONE:
            return _ended(message, outcome.reason)
        return outcome

    def _pieces(self, message: Message) -> Sequence[str]:
        return pieces(render(message.text, message.channel), self.mode)


def _ended(message: Message, reason: Reason) -> Outcome:
    """Return what a continuation that is over means: an earlier attempt may be what has ended it."""
    return TryAnotherWay(reason) if message.unclear_since is None else TellPerson(reason)
