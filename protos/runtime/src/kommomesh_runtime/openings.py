"""When a closed business opens, in the words of its clients; pure."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from kommomesh_runtime.business_hours import DAY, BusinessHours

PLACE = "{opening}"


def _words() -> Mapping[str, Any]:
    return tomllib.loads((files("kommomesh_runtime") / "data" / "openings.toml").read_text(encoding="utf-8"))


_WORDS = _words()


def with_opening(text: str, hours: BusinessHours, at: datetime, language: str) -> str:
    """Return a text in which `{opening}` says when the business opens next.

    Args:
        text: any text of a business; braces of other kinds stay as they are.
        hours: of the business.
        at: the aware time at which the client reads it.
        language: `es`, `pt` or `en`.
    """
    return text.replace(PLACE, opening_words(hours, at, language)) if PLACE in text else text


def opening_words(hours: BusinessHours, at: datetime, language: str) -> str:
    """Return when a business opens next, such as `mañana a partir de las 9:30`; arguments as `with_opening`."""
    words = _WORDS[language]
    opening = hours.next_opening(at)
    if opening is None:
        return str(words["unknown"])
    today = at.astimezone(ZoneInfo(hours.timezone)).date()
    name = {today: "today", today + DAY: "tomorrow"}.get(opening.date(), "later")
    template: str = words[name]
    return template.format(day=words["days"][opening.weekday()], time=f"{opening.hour}:{opening:%M}")
