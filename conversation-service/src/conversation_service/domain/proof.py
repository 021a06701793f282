"""Proof of delivery: what is known of a message after Kommo has accepted it, and when the next look is worth it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# No sign of the message by the last look.
NO_PROOF = "no_proof"
# On its way at the last look: the client's phone may be off.
STILL_SENT = "still_sent"
WEBHOOK = "webhook"
# Their messages are looked for. What took a message is unknown while only its echo has been seen.
LOOKED_FOR = frozenset({"talk_message", "salesbot_field", "salesbot_return", "unknown", ""})
# Accounts that answer by a Salesbot may not read their talks; what the bot has printed, Kommo reports back.
PROVED_BY_ECHO = frozenset({"salesbot_field", "salesbot_return"})
# So long after it was sent a look that is made for another message still tells of this one.
LOOKED_AT_WITHIN = timedelta(hours=1)


class ProofState(StrEnum):
    """How far a message has come."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a message that Kommo has accepted.

    Args:
        source: where it was seen last; empty while nothing but Kommo's answer is known.
        reason: why it failed, or why no more can be told.
        proved_at: when it was decided; None while it is looked for.
    """

    state: ProofState
    source: str = ""
    reason: str = ""
    proved_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the message is looked for."""
        return self.proved_at is None


@dataclass(frozen=True, slots=True)
class Sign:
    """What was seen of a message: `accepted` is on its way."""

    state: ProofState
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look says of one message; None where there was no sign of it."""

    delivery_id: UUID
    sign: Sign | None
    kommo_message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looks:
    """When messages are looked for, counted from when Kommo accepted them.

    Args:
        first: the first look.
        second: the next one, for a message that is still on its way.
        last: the look that decides.
        give_up: looks that fail for longer than this are given up.
    """

    first: timedelta = timedelta(seconds=10)
    second: timedelta = timedelta(seconds=25)
    last: timedelta = timedelta(seconds=55)
    give_up: timedelta = timedelta(minutes=15)

    def next_at(self, sent_at: datetime, looked_at: datetime) -> datetime:
        """Return when a message is to be looked for after a look; the last look is not followed by another."""
        times = (sent_at + self.first, sent_at + self.second, sent_at + self.last)
        return next((at for at in times if at > looked_at), looked_at)

    def is_last(self, sent_at: datetime, looked_at: datetime) -> bool:
        """Tell whether a look decides what a message's absence means."""
        return looked_at >= sent_at + self.last

    def is_given_up(self, sent_at: datetime, now: datetime) -> bool:
        """Tell whether it could not be told for too long."""
        return now - sent_at >= self.give_up


DEFAULT_LOOKS = Looks()


def new_proof(transport: str, now: datetime) -> Proof:
    """Return what is known of a message that a transport has just brought to Kommo."""
    return Proof(ProofState.ACCEPTED, proved_at=None if transport in LOOKED_FOR else now)


def after_sign(proof: Proof, sign: Sign, now: datetime) -> Proof:
    """Return what is known after a sign of the message; a failure is not taken back, since a person was told."""
    if proof.state is ProofState.FAILED:
        return replace(proof, source=sign.source)
    if sign.state is ProofState.ACCEPTED:
        return replace(proof, source=sign.source) if proof.state is ProofState.ACCEPTED else proof
    if sign.state is ProofState.FAILED and proof.state is not ProofState.ACCEPTED:
        return proof
    if proof.state is ProofState.READ:
        return proof
    return Proof(sign.state, sign.source, sign.reason, now)


def after_echo(proof: Proof, transport: str, now: datetime) -> Proof:
    """Return what is known once Kommo has reported the message back: its thread has it.

    The client may still not get it, which Kommo's record tells where it can be read.
    """
    seen = after_sign(proof, Sign(ProofState.ACCEPTED, WEBHOOK), now)
    return replace(seen, proved_at=now) if seen.is_open and transport in PROVED_BY_ECHO else seen


def after_look(proof: Proof, sign: Sign | None, now: datetime, *, is_last: bool) -> Proof:
    """Return what is known after a look.

    Args:
        proof: what was known before.
        sign: what it showed; None when there was no sign of the message.
        now: the time of the look's report.
        is_last: the look decides.
    """
    seen = proof if sign is None else after_sign(proof, sign, now)
    if not (seen.is_open and is_last):
        return seen
    if seen.source:
        return replace(seen, reason="" if seen.source == WEBHOOK else STILL_SENT, proved_at=now)
    return Proof(ProofState.FAILED, "", NO_PROOF, now)


def untold(proof: Proof, reason: str, now: datetime) -> Proof:
    """Return what is known when looking is given up: Kommo accepted it, and no more can be told."""
    return replace(proof, reason=reason, proved_at=now)
