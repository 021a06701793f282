"""Hand-overs in one account: notes, tasks and changes of leads through the REST API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kommo_service.adapters.rest import Rest
from kommo_service.domain.classification import Answer, of_change, of_read, of_rest_lookup
from kommo_service.domain.hand_off import (
    Entity,
    HandOff,
    LeadUpdate,
    Note,
    Skipped,
    Task,
    entities,
    entities_of_talk,
    lead_body,
    marked_id,
    note_body,
    task_body,
)
from kommo_service.domain.limiter import Use
from kommo_service.domain.outcomes import (
    FinalOutcome,
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    Unclear,
)
from kommo_service.domain.route import LEASE_SECONDS, repeated

PAGE = 250
# More than any lead holds; beyond it a reading cannot tell that something is absent.
PAGES_READ = 20
_ELSEWHERE = (Reason.ENTITY_NOT_FOUND, Reason.INVALID_ACTION)


@dataclass(frozen=True, slots=True)
class HandOffs:
    """Carries out the actions of hand-overs in one account.

    Kommo knows no idempotency key here: notes and tasks carry a marker, which is looked for before a repeat. A change
    of a lead does the same twice.

    Args:
        rest: the account's REST API.
        settle_seconds: how old an unclear attempt must be before its absence in Kommo's record counts.
        now: returns the time.
    """

    rest: Rest
    settle_seconds: float
    now: Callable[[], datetime]

    async def carry_out(self, hand_off: HandOff) -> FinalOutcome | Skipped:
        """Carry out an action, once, and return what became of it.

        Raises:
            KommoRateLimited: the account has no request left; nothing was done.
        """
        is_repeat = hand_off.unclear_since is not None
        self.rest.http.admit(Use.READ if is_repeat else Use.SEND)
        known = await self._entities(hand_off)
        if isinstance(known, Outcome):
            return repeated(known) if is_repeat else _final(known)
        if isinstance(hand_off.action, LeadUpdate):
            leads = [one for one in known if one.kind == "leads"]
            if not leads:
                return Skipped(Reason.NO_LEAD)
            return _final(await self._change_lead(hand_off, hand_off.action, leads[0]))
        if hand_off.unclear_since is None:
            return _final(await self._add(hand_off, hand_off.action, known))
        return await self._repeat(hand_off, hand_off.action, known, hand_off.unclear_since)

    async def _repeat(
        self, hand_off: HandOff, action: Note | Task, known: Sequence[Entity], since: datetime
    ) -> FinalOutcome:
        for entity in known:
            found = await self._find(hand_off, entity)
            if found is not None:
                return repeated(found)
        wait = self.settle_seconds - (self.now() - since).total_seconds()
        if wait > 0:
            return Unclear(wait, Reason.NOT_SETTLED)
        self.rest.http.count(Use.SEND)
        return repeated(await self._add(hand_off, action, known))

    async def _entities(self, hand_off: HandOff) -> Sequence[Entity] | Outcome:
        """Return where the action may be carried out; the talk is asked where no lead is known."""
        known = entities(hand_off.lead_id, hand_off.contact_id)
        if entities(hand_off.lead_id, "") or not entities("", hand_off.talk_id):
            return known
        self.rest.http.count(Use.READ)
        answer = await self.rest.get("get_talk", f"/api/v4/talks/{hand_off.talk_id}", {})
        failed = of_rest_lookup(answer)
        if failed is not None:
            is_enough = known and not isinstance(hand_off.action, LeadUpdate)
            return known if is_enough else failed
        assert isinstance(answer, Answer)
        return tuple(dict.fromkeys((*entities_of_talk(answer.body), *known)))

    async def _add(self, hand_off: HandOff, action: Note | Task, known: Sequence[Entity]) -> Outcome:
        outcome: Outcome = TryAnotherWay(Reason.NO_ENTITY)
        for number, entity in enumerate(known):
            if number:
                self.rest.http.count(Use.SEND)
            outcome = await self._add_to(hand_off, action, entity)
            if not (isinstance(outcome, TryAnotherWay) and outcome.reason in _ELSEWHERE):
                break
        return outcome

    async def _add_to(self, hand_off: HandOff, action: Note | Task, entity: Entity) -> Outcome:
        if isinstance(action, Note):
            path = f"/api/v4/{entity.kind}/{entity.id}/notes"
            return await self._post(hand_off, "notes", path, note_body(action, hand_off.marker))
        responsible = action.responsible_user_id
        if responsible is None:
            asked = await self._responsible(entity)
            if isinstance(asked, Outcome):
                return asked
            responsible = asked or None
        return await self._post(
            hand_off, "tasks", "/api/v4/tasks", task_body(action, hand_off.marker, entity, responsible)
        )

    async def _responsible(self, entity: Entity) -> int | Outcome:
        """Return who is responsible for a lead or a contact; 0 when Kommo does not say."""
        self.rest.http.count(Use.READ)
        answer = await self.rest.get(f"get_{entity.kind[:-1]}", f"/api/v4/{entity.kind}/{entity.id}", {})
        failed = of_rest_lookup(answer)
        if isinstance(failed, RetryLater):
            return failed
        if failed is not None:
            # Who may not read it may still write it; the task is then the token's user's.
            return 0
        assert isinstance(answer, Answer)
        if answer.status != 200:
            return TryAnotherWay(Reason.ENTITY_NOT_FOUND)
        user = answer.body.get("responsible_user_id")
        return user if isinstance(user, int) else 0

    async def _change_lead(self, hand_off: HandOff, update: LeadUpdate, lead: Entity) -> Outcome:
        if not hand_off.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        outcome = of_change(await self.rest.patch("patch_lead", f"/api/v4/leads/{lead.id}", lead_body(update)), "")
        return Sent((str(lead.id),)) if isinstance(outcome, Sent) else outcome

    async def _post(self, hand_off: HandOff, name: str, path: str, body: Sequence[Mapping[str, Any]]) -> Outcome:
        if not hand_off.may_start(self.now()):
            return RetryLater(LEASE_SECONDS, Reason.LEASE_ENDED)
        return of_change(await self.rest.post(f"add_{name}", path, body), name)

    async def _find(self, hand_off: HandOff, entity: Entity) -> Outcome | None:
        """Return the action where an earlier attempt left it; None where it did not."""
        if isinstance(hand_off.action, Note):
            name, path, query = "notes", f"/api/v4/{entity.kind}/{entity.id}/notes", {}
        else:
            name, path = "tasks", "/api/v4/tasks"
            query = {"filter[entity_type]": entity.kind, "filter[entity_id]": str(entity.id)}
        for page in range(1, PAGES_READ + 1):
            self.rest.http.count(Use.READ)
            answer = await self.rest.get(f"list_{name}", path, {**query, "limit": str(PAGE), "page": str(page)})
            failed = of_read(answer)
            if failed is not None:
                return failed
            assert isinstance(answer, Answer)
            found = marked_id(answer.embedded(name), hand_off.marker)
            if found:
                return Sent((found,), True)
            if not answer.has_next:
                return None
        return TellPerson(Reason.READ_BACK_REFUSED)


def _final(outcome: Outcome) -> FinalOutcome:
    return TellPerson(outcome.reason) if isinstance(outcome, TryAnotherWay) else outcome
