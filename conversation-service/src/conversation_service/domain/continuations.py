"""Salesbots that wait for an answer to the chat of their lead."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a Salesbot of a lead is told how to go on, and until when it waits."""

    account_id: str
    lead_id: str
    return_url: str
    expires_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """What is unique of it: Kommo runs one bot at a time for a lead."""
        return (self.account_id, self.lead_id)
