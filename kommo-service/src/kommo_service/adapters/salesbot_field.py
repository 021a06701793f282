"""Replies that a Salesbot prints: the text goes into a field of the lead, then the bot is launched."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kommo_service.adapters.kommo_http import KommoHttp
from kommo_service.adapters.lead_fields import LeadFields
from kommo_service.adapters.talk_reader import TALKS_READ, TalkReader, is_talk_id, other_than_asked, unread
from kommo_service.domain import talks
from kommo_service.domain.classification import UNCLEAR_SECONDS, Answer, of_rest_lookup
from kommo_service.domain.hand_off import entities, entities_of_talk
from kommo_service.domain.lead_field import LeadField, is_newest_chat
from kommo_service.domain.limiter import KommoRateLimited, Use
from kommo_service.domain.message import Finding, Message, Progress
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
from kommo_service.domain.rendering import is_cuttable, render, split
from kommo_service.domain.route import LEASE_SECONDS
from kommo_service.domain.talks import Talk
from kommomesh_runtime.deadline import time_left

# Of one piece: the lead's talks, the field before, the text, the field after, the launch.
REQUESTS = 5
BUSY_SECONDS = 2.0
# What is left of a call has to do for stopping the bot and a last look.
ENOUGH_SECONDS = 4.0
# After this long the field is read again before its bot is launched. Whoever needs longer from reading the field to
# having written it may have overwritten a text whose bot was launched meanwhile, and would then speak through that.
SETTLE_SECONDS = 1.0
# Looks for the printed text after these parts of the longest wait: often at first, since most bots are quick.
LOOKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.25)

BusyLeads = set[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bot of the lead is going to speak: the chat's talk, among all talks of the lead."""

    lead_id: int
    talk: Talk
    talks: Sequence[Talk]


@dataclass(frozen=True, slots=True)
class FreeField:
    """A field that may be written: what the bot has said before, and when the field was read, on the loop's clock."""

    said_ids: frozenset[str]
    read_at: float


@dataclass(frozen=True, slots=True)
class SalesbotField:
    """The transport `salesbot_field` of one account.

    One text at a time for a lead: the field is written only when the text before has appeared, or could not in time.
    That the bot was launched says nothing of what it prints, so the talk is read until the text is there.

    Args:
        fields: the field and its bot.
        reader: reads the chat's talks.
        field_limit: most characters of a piece.
        wait_seconds: how long a launched bot may take.
        busy: leads that a call of this process speaks through at the moment, of all accounts.
        now: returns the time.
    """

    fields: LeadFields
    reader: TalkReader
    field_limit: int
    wait_seconds: float
    busy: BusyLeads
    now: Callable[[], datetime]
    name: str = "salesbot_field"

    async def find(self, message: Message) -> Finding:
        """Return how much of a message was printed; what may still be is waited for. See `Transport`."""
        self._http.admit(Use.READ)
        pieces = self._pieces(message)
        found = await self.reader.find(message, pieces)
        if isinstance(found, Outcome):
            return found
        lead_id = await self._lead_id(message)
        if isinstance(lead_id, TryAnotherWay):
            return found
        if isinstance(lead_id, Outcome):
            return unread(lead_id)
        return await self._on_its_way(message, lead_id, pieces[found.pieces]) or found

    async def send(self, message: Message, progress: Progress) -> Outcome:
        """Let the bot print the missing pieces; see `Transport`."""
        if not is_cuttable(render(message.text, message.channel), self.field_limit):
            return TryAnotherWay(Reason.TEXT_TOO_LONG)
        self._http.admit(Use.SEND, REQUESTS)
        lead_id = await self._lead_id(message)
        if isinstance(lead_id, Outcome):
            return lead_id
        key = (message.account_id, lead_id)
        if key in self.busy:
            return RetryLater(BUSY_SECONDS, Reason.LEAD_BUSY)
        self.busy.add(key)
        try:
            return await self._send_pieces(message, lead_id, progress)
        finally:
            self.busy.discard(key)

    async def _send_pieces(self, message: Message, lead_id: int, progress: Progress) -> Outcome:
        place = await self._place(message, lead_id)
        if isinstance(place, Outcome):
            return after_part(place) if progress.pieces else place
        ids = list(progress.ids)
        for number, piece in enumerate(self._pieces(message)[progress.pieces :], start=progress.pieces):
            if number > progress.pieces and not await self._has_room():
                return Unclear(BUSY_SECONDS, Reason.PARTLY_SENT)
            outcome = await self._send_piece(message, place, piece)
            if not isinstance(outcome, Sent):
                return after_part(outcome) if number else outcome
            ids.extend(outcome.ids)
        return Sent(tuple(ids), False, other_than_asked(place.talk.id, message))

    async def _send_piece(self, message: Message, place: Place, piece: str) -> Outcome:
        free = await self._free(place)
        if isinstance(free, Outcome):
            return free
        if not message.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        failed = await self._written(place.lead_id, piece, free) or await self._lost(place.lead_id, piece)
        if failed is not None:
            return failed
        if not message.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        began = replace(message, unclear_since=self.now(), claimed_ids=message.claimed_ids | free.said_ids)
        launched = await self.fields.run(place.lead_id)
        return await self._printed(began, place, piece) if isinstance(launched, Sent) else launched

    async def _free(self, place: Place) -> FreeField | Outcome:
        """Return the field once it may be written; else for how long it may not be.

        A text that has not been printed yet would be lost, whoever wrote it: another chat of the lead, another
        replica, a person.
        """
        read_at = _clock()
        field = await self.fields.read(place.lead_id)
        if isinstance(field, Outcome):
            return field
        left = field.seconds_left(self.wait_seconds, self.now())
        if not field.text or left == 0.0:
            return FreeField(frozenset(), read_at)
        said = await self._said(place, field, min(left, BUSY_SECONDS))
        if isinstance(said, Outcome):
            return said
        # Reading the talks took a while.
        self._http.count(Use.READ)
        read_at = _clock()
        again = await self.fields.read(place.lead_id)
        if isinstance(again, Outcome):
            return again
        is_same = (again.text, again.changed_at) == (field.text, field.changed_at)
        return FreeField(said, read_at) if is_same else RetryLater(BUSY_SECONDS, Reason.FIELD_BUSY)

    async def _said(self, place: Place, field: LeadField, wait: float) -> frozenset[str] | Outcome:
        """Return what the bot has said, once the field's text is among it; else that it is to be waited for."""
        ids: set[str] = set()
        is_printed = False
        for talk in place.talks[:TALKS_READ]:
            self._http.count(Use.READ)
            read = await self.reader.messages(talk.id)
            if isinstance(read, Outcome):
                return RetryLater(BUSY_SECONDS, Reason.FIELD_BUSY)
            seen = by_bot(read[0])
            ids.update(one.id for one in seen)
            is_printed = is_printed or field.is_printed(seen)
        return frozenset(ids) if is_printed else RetryLater(wait, Reason.FIELD_BUSY)

    async def _written(self, lead_id: int, piece: str, free: FreeField) -> Outcome | None:
        """Write a piece into the free field; return what is to be done where its bot must not be launched now.

        What was written late, or may still be written, another replica's bot may print: it is read back first.
        """
        failed = await self.fields.write(lead_id, piece)
        if isinstance(failed, RetryLater) and failed.reason is Reason.CONNECTION_FAILED:
            return Unclear(failed.after, failed.reason)
        if failed is None and _clock() - free.read_at > SETTLE_SECONDS:
            return Unclear(BUSY_SECONDS, Reason.FIELD_BUSY)
        return failed

    async def _lost(self, lead_id: int, piece: str) -> Outcome | None:
        """Return what is to be done when the field does not hold the text that was just written; None when it does.

        Another replica that found the field free before may write it a moment later: of two the last one counts, and
        the other one must not launch the bot.
        """
        await asyncio.sleep(SETTLE_SECONDS)
        field = await self.fields.read(lead_id)
        if isinstance(field, Outcome):
            return field
        if field.holds_start_of(piece):
            return TryAnotherWay(Reason.FIELD_TOO_SHORT)
        return None if field.holds(piece) else RetryLater(BUSY_SECONDS, Reason.FIELD_OVERWRITTEN)

    async def _printed(self, began: Message, place: Place, piece: str) -> Outcome:
        """Return the text as the bot has printed it, as soon as it is there."""
        assert began.unclear_since is not None
        for part in LOOKS:
            if _is_time_short():
                return Unclear(LEASE_SECONDS, Reason.NOT_SETTLED)
            await asyncio.sleep(part * self.wait_seconds)
            if self._refused(Use.READ, 1):
                continue
            read = await self.reader.messages(place.talk.id)
            if isinstance(read, Outcome):
                continue
            seen, claimed = by_bot(read[0]), began.claimed_ids
            done = progress([piece], seen, began.unclear_since, read[1], claimed, place.talk.id)
            if done.pieces:
                return Sent(done.ids)
        return await self._not_printed(began, place, piece)

    async def _not_printed(self, began: Message, place: Place, piece: str) -> Outcome:
        """Return what a bot's silence means, after making sure that it stays silent."""
        self._count_sends(REQUESTS)
        field = await self.fields.read(place.lead_id)
        if isinstance(field, Outcome):
            return Unclear(UNCLEAR_SECONDS, Reason.BOT_SILENT)
        is_ours = field.holds(piece)
        if is_ours and not await self.fields.take_back(place.lead_id):
            return Unclear(UNCLEAR_SECONDS, Reason.BOT_SILENT)
        found = await self.reader.find(began, [piece])
        if isinstance(found, Sent):
            return Sent(found.ids)
        if isinstance(found, Outcome):
            return found
        return TellPerson(Reason.BOT_SILENT if is_ours else Reason.FIELD_OVERWRITTEN)

    async def _on_its_way(self, message: Message, lead_id: int, piece: str) -> Outcome | None:
        """Return how long a bot may still print a piece that is missing; None when none is about to.

        The field says so: only while it holds the piece can a bot that was launched say it.
        """
        if (message.account_id, lead_id) in self.busy:
            return Unclear(BUSY_SECONDS, Reason.LEAD_BUSY)
        self._http.count(Use.READ)
        field = await self.fields.read(lead_id)
        if isinstance(field, Outcome):
            is_gone = isinstance(field, TryAnotherWay) and field.reason is Reason.ENTITY_NOT_FOUND
            return None if is_gone else unread(field)
        if not field.holds(piece):
            return None
        left = field.seconds_left(self.wait_seconds, self.now(), message.unclear_since)
        if left > 0:
            return Unclear(left, Reason.NOT_SETTLED)
        self._count_sends(2)
        await self.fields.take_back(lead_id)
        return Unclear(UNCLEAR_SECONDS, Reason.NOT_SETTLED)

    async def _lead_id(self, message: Message) -> int | Outcome:
        """Return the lead of the chat; its talk is asked where the message names none."""
        named = entities(message.lead_id, "")
        if not named and is_talk_id(message.talk_id):
            self._http.count(Use.READ)
            answer = await self.fields.rest.get("get_talk", f"/api/v4/talks/{message.talk_id}", {})
            failed = of_rest_lookup(answer)
            if failed is not None:
                return failed
            assert isinstance(answer, Answer)
            named = tuple(one for one in entities_of_talk(answer.body) if one.kind == "leads")
        return named[0].id if named else TryAnotherWay(Reason.NO_LEAD)

    async def _place(self, message: Message, lead_id: int) -> Place | Outcome:
        listed = await self.reader.listed({"filter[entity_type]": "leads", "filter[entity_id]": str(lead_id)})
        if isinstance(listed, Outcome):
            return listed
        of_lead = [talk for talk in listed if talk.lead_id == str(lead_id)]
        ours = talks.of_chat(of_lead, message.chat_id, is_simulated=self.reader.is_simulated)
        if not ours:
            return TryAnotherWay(Reason.NO_TALK)
        if not is_newest_chat(ours[0], of_lead):
            return TryAnotherWay(Reason.OTHER_CHAT)
        return Place(lead_id, ours[0], of_lead)

    async def _has_room(self) -> bool:
        """Wait until the account has the requests of one more piece; tell whether it has them in time."""
        while wait := self._refused(Use.SEND, REQUESTS):
            if wait > BUSY_SECONDS or _is_time_short():
                return False
            await asyncio.sleep(wait)
        return True

    def _refused(self, use: Use, count: int) -> float:
        """Take requests out of the account's second, or return for how long there are none.

        Once a piece may be on its way, the refusal must not end the call as if nothing had been sent.
        """
        try:
            self._http.admit(use, count)
        except KommoRateLimited as refused:
            return refused.retry_after or BUSY_SECONDS
        return 0.0

    def _pieces(self, message: Message) -> Sequence[str]:
        return split(render(message.text, message.channel), self.field_limit)

    def _count_sends(self, count: int) -> None:
        for _ in range(count):
            self._http.count(Use.SEND)

    @property
    def _http(self) -> KommoHttp:
        return self.fields.rest.http


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _is_time_short() -> bool:
    left = time_left()
    return left is not None and left < ENOUGH_SECONDS
