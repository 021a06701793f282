"""The field of a lead, and the bot that prints it, through the REST API."""

from dataclasses import dataclass

from kommo_service.adapters.rest import Rest
from kommo_service.domain.classification import Answer, of_bot_run, of_field_access
from kommo_service.domain.lead_field import LeadField, field_body, field_of, run_body
from kommo_service.domain.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class LeadFields:
    """One field of an account's leads, and its bot. Counts nothing against the account's limit: the caller does.

    Args:
        rest: the account's REST API.
        field_id: the field.
        bot_id: the bot whose only step prints it.
    """

    rest: Rest
    field_id: int
    bot_id: int

    async def read(self, lead_id: int) -> LeadField | Outcome:
        """Return the field of a lead, or why it cannot be read."""
        answer = await self.rest.get("get_lead", f"/api/v4/leads/{lead_id}", {})
        failed = of_field_access(answer)
        if failed is not None:
            return failed
        assert isinstance(answer, Answer)
        return field_of(answer.body, self.field_id, answer.drift_seconds)

    async def write(self, lead_id: int, text: str) -> Outcome | None:
        """Write a text into the field of a lead; return why that did not work."""
        body = field_body(self.field_id, text)
        return of_field_access(await self.rest.patch("patch_lead", f"/api/v4/leads/{lead_id}", body))

    async def run(self, lead_id: int) -> Outcome:
        """Launch the bot for a lead."""
        return of_bot_run(await self.rest.post("run_bot", f"/api/v4/bots/{self.bot_id}/run", run_body(lead_id)))

    async def take_back(self, lead_id: int) -> bool:
        """Stop the bot of a lead and empty the field, so that it says nothing late; tell whether Kommo took both."""
        stopped = await self.rest.post("stop_bot", f"/api/v4/bots/{self.bot_id}/stop", run_body(lead_id))
        # What does not run any more is refused, and stopped all the same.
        is_stopped = isinstance(stopped, Answer) and stopped.status < 500 and stopped.status not in (401, 403, 429)
        return is_stopped and await self.write(lead_id, "") is None
