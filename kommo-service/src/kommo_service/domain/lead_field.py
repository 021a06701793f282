"""The field of a lead that a Salesbot prints: what it holds, how it is written, and whether it was printed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kommo_service.domain.classification import objects
from kommo_service.domain.readback import SLACK_SECONDS, Seen
from kommo_service.domain.rendering import normalized
from kommo_service.domain.talks import Talk


@dataclass(frozen=True, slots=True)
class LeadField:
    """A field as Kommo shows it.

    Args:
        text: what it holds; empty when nothing.
        changed_at: when anything of the lead last changed, by Kommo's clock, in unix seconds.
        drift_seconds: how far Kommo's clock is ahead of ours.
    """

    text: str
    changed_at: float
    drift_seconds: float = 0.0

    def holds(self, text: str) -> bool:
        """Tell whether it holds a text, white space apart."""
        return normalized(self.text) == normalized(text)

    def holds_start_of(self, text: str) -> bool:
        """Tell whether it holds a text that was cut off."""
        return bool(self.text) and normalized(text).startswith(normalized(self.text)) and not self.holds(text)

    def seconds_left(self, wait_seconds: float, now: datetime, since: datetime | None = None) -> float:
        """Return for how long a bot may still be about to print it; 0 when no more.

        Args:
            wait_seconds: how long a bot may take.
            now: the time.
            since: when a bot may have been launched although nothing of the lead changed; None when it was not.
        """
        changed_at = datetime.fromtimestamp(self.changed_at - self.drift_seconds, now.tzinfo)
        latest = max(changed_at, since) if since else changed_at
        return max(0.0, (latest + timedelta(seconds=wait_seconds) - now).total_seconds())

    def is_printed(self, seen: Iterable[Seen]) -> bool:
        """Tell whether a bot has said its text since it was written."""
        earliest = self.changed_at - SLACK_SECONDS
        return any(message.created_at >= earliest and self.holds(message.text) for message in seen)


def field_of(lead: Mapping[str, Any], field_id: int, drift_seconds: float) -> LeadField:
    """Return a field of a lead.

    Source: Kommo, leads: `custom_fields_values[]{field_id, values[]{value}}`; null where no field is filled.
    """
    found = (field for field in objects(lead.get("custom_fields_values")) if field.get("field_id") == field_id)
    values = objects(next(found, {}).get("values"))
    text = values[0].get("value") if values else ""
    changed_at = lead.get("updated_at")
    return LeadField(
        text if isinstance(text, str) else "",
        float(changed_at) if isinstance(changed_at, int | float) else 0.0,
        drift_seconds,
    )


def field_body(field_id: int, text: str) -> dict[str, Any]:
    """Return what writes a text into a field; the other fields of the lead stay as they are.

    Source: Kommo, changing leads: only the custom fields that are named change.
    """
    return {"custom_fields_values": [{"field_id": field_id, "values": [{"value": text}]}]}


def run_body(lead_id: int) -> dict[str, Any]:
    """Return what launches, or stops, a bot for a lead.

    Source: Kommo, launching a Salesbot: `leads` where webhooks say `lead`.
    """
    return {"entity_id": lead_id, "entity_type": "leads"}


def is_newest_chat(talk: Talk, others: Iterable[Talk]) -> bool:
    """Tell whether a bot of the lead speaks in the chat of `talk`: it does in the one where something came last.

    Where that cannot be told it is not: the words would reach another chat, perhaps another person.
    """
    return all(other.updated_at < talk.updated_at for other in others if other.chat_id != talk.chat_id)
