"""Messages into a channel that the account registered itself: signed `new_message` requests of the Chats API."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from kommo_service.adapters.chats import Chats
from kommo_service.domain import history
from kommo_service.domain.classification import (
    DRIFT_LIMIT_SECONDS,
    Answer,
    Failure,
    is_refusal_of_content,
    objects,
    of_channel_lookup,
    of_channel_send,
    of_read,
)
from kommo_service.domain.history import Client
from kommo_service.domain.limiter import Use
from kommo_service.domain.message import NOTHING_SENT, Finding, Message, Progress
from kommo_service.domain.outcomes import (
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    after_part,
)
from kommo_service.domain.readback import SLACK_SECONDS
from kommo_service.domain.rendering import OWN_CHANNEL_LIMIT, render, split
from kommo_service.domain.route import LEASE_SECONDS
from kommomesh_runtime.accounts import ChannelConfig

PAGE = 50
PAGES_READ = 40
CLIENTS_KEPT = 10_000
# After this long a measured drift is old: one request goes out and measures it again.
DRIFT_SECONDS = 60.0
BOT_NAME = "Bot"


class OwnChannel:
    """The transport `own_channel` of one account.

    The `msgid` of each piece is derived from the delivery, and Kommo takes none twice: a repeat is harmless.

    Args:
        chats: the channel's signed requests.
        channel: the channel.
        now: returns the time.
    """

    name = "own_channel"

    def __init__(self, chats: Chats, channel: ChannelConfig, now: Callable[[], datetime]) -> None:
        self._chats = chats
        self._channel = channel
        self._now = now
        self._clients: OrderedDict[str, Client] = OrderedDict()
        self._drift: tuple[float, datetime] | None = None

    async def find(self, message: Message) -> Finding:
        """Return how much of a message the chat's history holds; see `Transport`."""
        if not self._is_own(message.origin):
            return NOTHING_SENT
        assert message.unclear_since is not None
        self._chats.http.admit(Use.READ)
        found = await self._read(message.chat_id, message.unclear_since)
        if isinstance(found, Outcome):
            return found
        piece_ids = [str(message.piece_id(number)) for number in range(len(_pieces(message)))]
        done = history.progress(piece_ids, found)
        return Sent(done.ids, True) if done.pieces == len(piece_ids) else done

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Send the missing pieces; see `Transport`."""
        if not self._is_own(message.origin):
            return TryAnotherWay(Reason.NOT_OWN_CHANNEL)
        if self._is_clock_wrong():
            return TryAnotherWay(Reason.CLOCK_DRIFT)
        pieces = _pieces(message)
        self._chats.http.admit(Use.SEND, len(pieces) - progress.pieces)
        client = await self._client(message.chat_id)
        if isinstance(client, Outcome):
            return after_part(client) if progress.pieces else client
        ids, is_read_back = list(progress.ids), True
        for number in range(progress.pieces, len(pieces)):
            outcome = await self._send_piece(message, client, number, pieces[number])
            if not isinstance(outcome, Sent):
                return after_part(outcome) if number else outcome
            ids.extend(outcome.ids)
            is_read_back = is_read_back and outcome.is_read_back
        return Sent(tuple(ids), is_read_back)

    async def _send_piece(self, message: Message, client: Client, number: int, text: str) -> Outcome:
        if not message.may_start(self._now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        piece_id = str(message.piece_id(number))
        named = replace(client, name=client.name or message.contact_name or client.id)
        payload = _payload(message.chat_id, named, self._channel.bot_id, piece_id, text, self._now(), number)
        answer = self._noted(await self._chats.new_message(payload))
        if is_refusal_of_content(answer):
            return await self._of_refusal(message.chat_id, piece_id)
        return of_channel_send(answer)

    async def _of_refusal(self, chat_id: str, piece_id: str) -> Outcome:
        """Tell a message that Kommo has already from one that it does not take; it refuses both alike."""
        self._chats.http.count(Use.READ)
        found = await self._read(chat_id, None)
        if isinstance(found, Outcome):
            return found
        if piece_id in found:
            return Sent((found[piece_id],), True)
        return TryAnotherWay(Reason.INVALID_TEXT)

    async def _client(self, chat_id: str) -> Client | Outcome:
        known = self._clients.get(chat_id)
        if known is not None:
            self._clients.move_to_end(chat_id)
            return known
        self._chats.http.count(Use.READ)
        answer = self._noted(await self._chats.history(chat_id, 0, PAGE))
        failed = of_channel_lookup(answer)
        if failed is not None:
            return failed
        client = history.client_of(_messages(answer))
        if client is None:
            # A chat that the channel does not know would be made anew, and reach nobody.
            return TryAnotherWay(Reason.NOT_OWN_CHANNEL)
        self._clients[chat_id] = client
        if len(self._clients) > CLIENTS_KEPT:
            self._clients.popitem(last=False)
        return client

    async def held(self, chat_id: str, since: datetime) -> Mapping[str, str] | Outcome:
        """Return Kommo's ids by ours of a chat's messages since a time, or why the history cannot be read.

        Raises:
            KommoRateLimited: the account has no request left; nothing was read.
        """
        self._chats.http.admit(Use.READ)
        return await self._read(chat_id, since)

    def is_own(self, origin: str) -> bool:
        """Tell whether a chat of an origin is one of this channel."""
        return self._is_own(origin)

    async def _read(self, chat_id: str, since: datetime | None) -> Mapping[str, str] | Outcome:
        """Return Kommo's ids by ours, of all messages of a chat or of those since a time."""
        known: dict[str, str] = {}
        for page in range(PAGES_READ):
            if page:
                self._chats.http.count(Use.READ)
            answer = self._noted(await self._chats.history(chat_id, page * PAGE, PAGE))
            failed = of_read(answer)
            if failed is not None:
                return failed
            messages = _messages(answer)
            known |= history.taken(messages)
            earliest = since.timestamp() + self._drift_now() - SLACK_SECONDS if since else 0.0
            if len(messages) < PAGE or history.reaches_back_to(messages, earliest):
                return known
        return TellPerson(Reason.READ_BACK_REFUSED)

    def _is_own(self, origin: str) -> bool:
        return self._channel.owns(origin)

    def _noted(self, answer: Answer | Failure) -> Answer | Failure:
        if isinstance(answer, Answer) and answer.date is not None:
            self._drift = (answer.drift_seconds, self._now())
        return answer

    def _drift_now(self) -> float:
        return self._drift[0] if self._drift else 0.0

    def _is_clock_wrong(self) -> bool:
        if self._drift is None or abs(self._drift[0]) <= DRIFT_LIMIT_SECONDS:
            return False
        return (self._now() - self._drift[1]).total_seconds() < DRIFT_SECONDS


def _pieces(message: Message) -> Sequence[str]:
    return split(render(message.text, message.channel), OWN_CHANNEL_LIMIT)


def _messages(answer: Answer | Failure) -> Sequence[Mapping[str, Any]]:
    return objects(answer.body.get("messages")) if isinstance(answer, Answer) else []


def _payload(
    chat_id: str, client: Client, bot_id: str, piece_id: str, text: str, now: datetime, number: int
) -> Mapping[str, Any]:
    """Return the payload of a bot's message; its times are whole numbers, because Kommo refuses others.

    Source: Kommo Chats API, sending messages: a sender with the bot's `ref_id` and the client as receiver.
    """
    receiver = {"id": client.id, "name": client.name}
    if client.ref_id:
        receiver["ref_id"] = client.ref_id
    return {
        "timestamp": int(now.timestamp()),
        # Pieces of one message follow each other within the same millisecond.
        "msec_timestamp": int(now.timestamp() * 1000) + number,
        "msgid": piece_id,
        "conversation_ref_id": chat_id,
        "sender": {"id": bot_id, "name": BOT_NAME, "ref_id": bot_id},
        "receiver": receiver,
        "message": {"type": "text", "text": text},
        "silent": True,
    }
