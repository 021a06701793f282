"""Alerts: what the account's own systems are told beside Kommo, without a word of the client."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from conversation_service.domain.floor import Priority


class AlertKind(StrEnum):
    """What an alert is about."""

    NOBODY_CAME = "nobody_came"
    PACKAGE_WAITING = "package_waiting"
    QUOTA = "quota"

    @property
    def is_of_hand_over(self) -> bool:
        """Whether it is about one call of a person, and has no object once somebody has come."""
        return self in HAND_OVER_ALERTS

    @property
    def lane(self) -> str:
        """Where it waits: each kind by itself, so that one that is due later holds up no other."""
        return f"alert_{self.value}"


HAND_OVER_ALERTS = (AlertKind.NOBODY_CAME, AlertKind.PACKAGE_WAITING)
ALERT_LANES = sorted(kind.lane for kind in AlertKind)
_CODE = re.compile("[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class AlertDetails:
    """What an alert says.

    Args:
        kind: what it is about.
        reason: a code such as `human_request` or `kommo_unavailable`; never a person's words.
        priority: how soon somebody should look.
        since_at: since when it is so: for a hand-over, when the person was called.
        trace_url: where to look; empty when there is no such address.
    """

    kind: AlertKind
    reason: str
    priority: Priority
    since_at: datetime
    trace_url: str = ""


def reason_code(code: str, otherwise: str = "other") -> str:
    """Return a code that may leave the mesh; `otherwise` for what is none, which may be a person's words."""
    return code if _CODE.fullmatch(code) else otherwise
