"""The table of the floor: every event in every state, what follows for the bot, and the same table in the docs."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from conversation_service.domain.conversation import PERSON_HAS_FLOOR, Outcome
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState, Verdict, verdict
from conversation_service.domain.floor import (
    ClientWrote,
    Escalated,
    Floor,
    FloorEvent,
    Holder,
    PersonWrote,
    Priority,
    Released,
    Resolved,
    ResumeAfter,
    Status,
    TakenOver,
    TalkClosed,
    after,
    new_floor,
    require,
)
from conversation_service.domain.ingest import (
    Chat,
    ClientMessage,
    CompanyMessage,
    Content,
    Item,
    Rules,
    new_chat,
    take_in,
)
from kommomesh_runtime.errors import FailedPrecondition

DATA = tomllib.loads((Path(__file__).parent / "floor_table.toml").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "architecture" / "the-floor.md"

BEGIN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENTERED = BEGIN + timedelta(hours=2)
NOW = ENTERED + timedelta(minutes=5)
RESUME = ResumeAfter(person=timedelta(hours=12), failure=timedelta(minutes=15))
RULES = Rules(quiet=timedelta(seconds=2), quiet_max=timedelta(seconds=10), resume_after=RESUME)
SECOND = timedelta(seconds=1)
ID = UUID(int=7)

# How a state is entered from the bot's floor.
ENTRY: dict[str, Callable[[Floor], Floor]] = {
    "bot, active": lambda floor: floor,
    "bot, resolved": lambda floor: after(floor, Resolved(), ENTERED),
    "bot, closed": lambda floor: after(floor, TalkClosed(ENTERED), ENTERED),
    "called by the client": lambda floor: after(floor, Escalated("asked", Priority.HIGH), ENTERED),
    "called by our failure": lambda floor: after(floor, Escalated("down", Priority.HIGH, is_failure=True), ENTERED),
    "person": lambda floor: after(floor, PersonWrote(ENTERED, "Ana"), ENTERED),
}
# The floor before: of a new conversation, and of one that a person had and gave back.
BEFORE = {
    "new": new_floor(BEGIN),
    "given back": after(after(new_floor(BEGIN), TakenOver("Ana"), BEGIN), Released(), BEGIN + timedelta(hours=1)),
}
CLIENT = ClientWrote(RESUME)
ESCALATE = Escalated("asked", Priority.HIGH)
VERBS = {"`EscalateConversation`", "`ReleaseToBot`", "`ResolveConversation`"}
LATE = {"… before the last give-back", "… told again after the last give-back"}


def _released(floor: Floor) -> datetime:
    assert floor.released_at is not None
    return floor.released_at


# What happens, and when: an event of the floor, or None where the bot wrote, which is none.
EVENTS: dict[str, Callable[[Floor], tuple[FloorEvent | None, datetime]]] = {
    "the client writes": lambda _: (CLIENT, NOW),
    "… after `failure_resume_after`": lambda _: (CLIENT, ENTERED + RESUME.failure),
    "… after `resume_after`": lambda _: (CLIENT, ENTERED + RESUME.person),
    "a person writes in Kommo": lambda _: (PersonWrote(NOW, "Luz"), NOW),
    "… before the last give-back": lambda floor: (PersonWrote(_released(floor) - SECOND, "Luz"), NOW),
    "a bot writes, ours or another": lambda _: (None, NOW),
    "a turn calls a person": lambda _: (ESCALATE, NOW),
    "our failure calls a person": lambda _: (replace(ESCALATE, is_failure=True), NOW),
    "`EscalateConversation`": lambda _: (ESCALATE, NOW),
    "`TakeOver`": lambda _: (TakenOver("Luz"), NOW),
    "`ReleaseToBot`": lambda _: (Released(), NOW),
    "`ResolveConversation`": lambda _: (Resolved(), NOW),
    "Kommo closes the talk": lambda _: (TalkClosed(NOW), NOW),
    "… told again after the last give-back": lambda floor: (TalkClosed(_released(floor)), NOW),
    "… before the person was called or came, told late": lambda _: (TalkClosed(ENTERED - SECOND), NOW),
}
HOLDERS = {"bot": Holder.BOT, "waiting": Holder.PERSON_WAITING, "person": Holder.PERSON}
CELLS = [
    (before, state, event, cells[place])
    for event, cells in DATA["events"].items()
    for place, state in enumerate(DATA["states"])
    for before in BEFORE
    if before == "given back" or event not in LATE
]


def _chat(floor: Floor) -> Chat:
    chat = new_chat(ID, "12345", "chat-1", BEGIN)
    return replace(chat, conversation=replace(chat.conversation, floor=floor))


def _item(event: ClientMessage | CompanyMessage) -> Item:
    return Item("12345", "chat-1", event)


def _after(floor: Floor, event: FloorEvent | None, now: datetime) -> Floor:
    if event is not None:
        return after(floor, event, now)
    echo = CompanyMessage(Content("k-1", "Abrimos a las 9.30."), is_person=False)
    return take_in(_chat(floor), _item(echo), ID, RULES, now).conversation.floor


def _delivery(kind: DeliveryKind, number: int) -> Delivery:
    return Delivery(
        id=ID,
        account_id="12345",
        conversation_id=ID,
        turn_id=ID,
        sequence=1,
        kind=kind,
        state=DeliveryState.PENDING,
        text="Abrimos a las 9.30.",
        floor_number=number,
        created_at=NOW,
        first_unread_at=NOW,
    )


def _leaves(kind: DeliveryKind, number: int, floor: Floor, now: datetime) -> bool:
    found = verdict(
        _delivery(kind, number), holder=floor.holder, floor_number=floor.number, now=now, max_age=timedelta(days=1)
    )
    return found is Verdict.LEAVES


def _is_answered(floor: Floor, now: datetime) -> bool:
    taken = take_in(_chat(floor), _item(ClientMessage(Content("m-1", "¿hola?"))), ID, RULES, now)
    (message,) = taken.messages
    assert (message.outcome, message.outcome_reason) in ((None, ""), (Outcome.HANDED_TO_PERSON, PERSON_HAS_FLOOR))
    return message.outcome is None


def _behaviour(before: Floor, found: Floor, now: datetime) -> str:
    """Return what the bot does, seen from outside: what is answered, and what of all that waited leaves."""
    # What waits was written by the bot under the number it had then, or by an escalation under the one after it.
    written = before.number if before.is_with_bot else before.number - 1
    does = (
        _is_answered(found, now),
        _leaves(DeliveryKind.REPLY, written, found, now),
        any(_leaves(DeliveryKind.NOTICE, number, found, now) for number in {before.number, found.number}),
    )
    return {
        (True, True, False): "speaks",
        (True, False, False): "speaks anew",
        (False, False, True): "notice",
        (False, False, False): "silent",
    }[does]


@pytest.mark.parametrize(("before", "state", "event", "cell"), CELLS)
def test_given_a_state_when_an_event_comes_then_floor_status_and_bot_are_as_the_table_says(
    before: str, state: str, event: str, cell: str
) -> None:
    floor = ENTRY[state](BEFORE[before])
    happening, now = EVENTS[event](floor)
    refused, _, reason = cell.partition(": ")
    if refused == "refused":
        assert happening is not None
        with pytest.raises(FailedPrecondition) as caught:
            require(floor, happening, "c1")
        assert caught.value.reason == reason
        return
    if event in VERBS and happening is not None:
        require(floor, happening, "c1")
    found = _after(floor, happening, now)
    holder = next(name for name, value in HOLDERS.items() if value is found.holder)
    episode = " *" if found.episode_started_at != floor.episode_started_at else ""
    assert f"{holder}, {found.status}: {_behaviour(floor, found, now)}{episode}" == cell


@pytest.mark.parametrize(("before", "state", "event", "cell"), CELLS)
def test_given_any_step_when_the_holder_changes_then_alone_the_number_rises(
    before: str, state: str, event: str, cell: str
) -> None:
    floor = ENTRY[state](BEFORE[before])
    happening, now = EVENTS[event](floor)
    found = _after(floor, happening, now)
    has_changed = found.holder is not floor.holder
    assert found.number == floor.number + has_changed, cell
    assert found.changed_at == (now if has_changed else floor.changed_at)


def test_given_all_events_when_followed_from_a_new_conversation_then_no_state_is_met_that_the_table_lacks() -> None:
    times = (timedelta(seconds=1), RESUME.failure, RESUME.person)
    seen: dict[tuple[Holder, Status, bool], Floor] = {}
    waiting = [new_floor(BEGIN)]
    while waiting:
        floor = waiting.pop()
        key = (floor.holder, floor.status, floor.is_failure)
        if key in seen:
            continue
        seen[key] = floor
        begin = max(floor.changed_at, floor.episode_started_at)
        for (name, event), wait in product(EVENTS.items(), times):
            if name in LATE and floor.released_at is None:
                continue
            now = begin + wait
            happening, _ = event(floor)
            if isinstance(happening, PersonWrote):
                happening = replace(happening, written_at=now)
            if isinstance(happening, TalkClosed):
                happening = replace(happening, closed_at=now)
            waiting.append(_after(floor, happening, now))
    known = {ENTRY[state](BEFORE["new"]) for state in DATA["states"]}
    assert set(seen) == {(floor.holder, floor.status, floor.is_failure) for floor in known}
    assert set(DATA["states"]) == set(ENTRY)


def test_given_the_table_when_read_then_it_has_a_cell_for_every_event_and_state() -> None:
    assert set(DATA["events"]) == set(EVENTS)
    assert {len(cells) for cells in DATA["events"].values()} == {len(DATA["states"])}
    covered = {type(happening) for make in EVENTS.values() if (happening := make(BEFORE["given back"])[0]) is not None}
    assert covered == set(FloorEvent.__args__)


def test_given_the_page_about_the_floor_when_read_then_its_table_is_this_table() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    begin = next(place for place, row in enumerate(rows) if row[1:] == DATA["states"])
    shown = {row[0]: row[1:] for row in rows[begin + 2 : begin + 2 + len(DATA["events"])]}
    assert shown == DATA["events"]
