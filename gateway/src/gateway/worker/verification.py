"""Whether Kommo itself knows the messages of a turn: asked before they are acted on, where an account wants that."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gateway.worker import metrics
from gateway.worker.failures import DependencyFailed, dependency_failed
from gateway.worker.steps import Steps
from kommomesh.conversation.v1.conversation_pb2 import Conversation, Message
from kommomesh.conversation.v1.turn_service_pb2 import LeasedTurn
from kommomesh.kommo.v1.delivery_proof_pb2 import (
    TALK_AUTHOR_BOT,
    TALK_AUTHOR_CLIENT,
    TALK_AUTHOR_PERSON,
    ListTalkMessagesRequest,
    TalkMessage,
)
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.parsing import to_time

if TYPE_CHECKING:
    from kommomesh.kommo.v1.kommo_service_pb2_grpc import KommoServiceAsyncStub

NOT_IN_KOMMO = "not_in_kommo"
NOT_CONFIRMED = "not_confirmed"
NOT_QUOTED = frozenset({NOT_IN_KOMMO, NOT_CONFIRMED})
COMPANY = frozenset({TALK_AUTHOR_PERSON, TALK_AUTHOR_BOT})
NO_TALK = frozenset({"INVALID_ARGUMENT", "NOT_FOUND"})
OWN_CHANNEL = "amo.ext."
# A webhook may be faster than the list of the talk's messages.
PATIENCE = timedelta(seconds=30)
PAUSE_SECONDS = 3.0
PAGE_SIZE = 200
MOST_PAGES = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What a look into Kommo showed of a burst.

    Args:
        known: the messages that Kommo has, with these words and of the client.
        refuted: those that Kommo says the company wrote.
        unconfirmed: those that it has not, or with other words, although they have had time enough to appear. That
            proves no forgery: talks change, lists lag, and people correct what they wrote.
    """

    known: tuple[Message, ...]
    refuted: tuple[Message, ...]
    unconfirmed: tuple[Message, ...]


def is_wanted(account: Account, conversation: Conversation) -> bool:
    """Tell whether the messages of a conversation are looked up; what a relay brought was signed by it."""
    is_relayed = account.channel is not None and bool(account.channel.relay_url)
    return account.verify_messages and not (is_relayed and conversation.origin.startswith(OWN_CHANNEL))


def credible(turn: LeasedTurn) -> LeasedTurn:
    """Return the turn without what it quotes of messages that Kommo did not confirm."""
    history = [message for message in turn.history if message.outcome_reason not in NOT_QUOTED]
    if len(history) == len(turn.history):
        return turn
    kept = LeasedTurn()
    kept.CopyFrom(turn)
    del kept.history[:]
    kept.history.extend(history)
    return kept


async def look(kommo: "KommoServiceAsyncStub", turn: LeasedTurn, steps: Steps, now: datetime) -> Look:
    """Return which messages of a turn Kommo has; one that is young and not there yet is in no list.

    Args:
        kommo: reads the talk.
        turn: the turn.
        steps: takes the look as a step.
        now: the time.

    Raises:
        DependencyFailed: Kommo or kommo-service gave no answer, or the talk is too long to be looked through.
    """
    missing = {message.kommo_message_id: message for message in turn.messages}
    with steps.step("verify") as step:
        try:
            refuted = await _find(kommo, turn.conversation, missing)
        except RemoteError as error:
            step.note = error.code.lower()
            metrics.VERIFICATIONS.labels("failed").inc()
            raise dependency_failed("kommo", error) from error
        known = tuple(one for one in turn.messages if one.kommo_message_id not in missing and one.id not in refuted)
        step.note = f"{len(known)} of {len(turn.messages)}"
    unconfirmed = tuple(message for message in missing.values() if _is_overdue(message, now))
    found = Look(known, tuple(refuted.values()), unconfirmed)
    _count(found)
    return found


def _count(found: Look) -> None:
    """Count what the turn will end with; the rest is looked up again."""
    for outcome, messages in (
        ("known", found.known),
        (NOT_IN_KOMMO, found.refuted),
        (NOT_CONFIRMED, found.unconfirmed),
    ):
        if messages:
            metrics.VERIFICATIONS.labels(outcome).inc(len(messages))
            return


async def _find(
    kommo: "KommoServiceAsyncStub", conversation: Conversation, missing: dict[str, Message]
) -> dict[str, Message]:
    """Take out of `missing` what the conversation's talk holds; return, by our id, what it holds as the company's."""
    refuted: dict[str, Message] = {}
    request = ListTalkMessagesRequest(
        account=conversation.account_id, talk_id=conversation.talk_id, page_size=PAGE_SIZE
    )
    for _ in range(MOST_PAGES):
        try:
            page = await kommo.ListTalkMessages(request)
        except RemoteError as error:
            # Without a talk in Kommo there is nothing that could hold them.
            if error.code in NO_TALK and error.reason != "ACCOUNT_NOT_FOUND":
                return refuted
            raise
        for shown in page.messages:
            if shown.id in missing and shown.author in COMPANY:
                message = missing.pop(shown.id)
                refuted[message.id] = message
            elif shown.id in missing and _is_same(missing[shown.id], shown):
                del missing[shown.id]
        if not missing or not page.next_page_token:
            return refuted
        request.page_token = page.next_page_token
    raise DependencyFailed("kommo_failed", is_transient=False)


def _is_same(message: Message, shown: TalkMessage) -> bool:
    said = " ".join(message.content.split())
    # Of a message without words only Kommo's placeholder may be there.
    return shown.author == TALK_AUTHOR_CLIENT and (not said or said == " ".join(shown.text.split()))


def _is_overdue(message: Message, now: datetime) -> bool:
    arrived = to_time(message.ingest_time)
    return arrived is None or now - arrived >= PATIENCE
