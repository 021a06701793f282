"""Which channel an origin of Kommo belongs to, from a table with a visible default."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gateway.domain.events import Channel


@dataclass(frozen=True, slots=True)
class Origins:
    """The table of origins: exact names, beginnings of names, and the channel of all others."""

    exact: dict[str, Channel]
    prefixes: dict[str, Channel]
    default: Channel

    def channel_of(self, origin: str) -> Channel:
        """Return the channel of an origin."""
        found = self._find(origin)
        return self.default if found is None else found

    def is_known(self, origin: str) -> bool:
        """Tell whether the table names the origin."""
        return self._find(origin) is not None

    def _find(self, origin: str) -> Channel | None:
        name = origin.lower()
        found = self.exact.get(name)
        if found is not None:
            return found
        return next((channel for prefix, channel in self.prefixes.items() if name.startswith(prefix)), None)


@cache
def shipped_origins() -> Origins:
    """Return the table of `origins.toml`."""
    data = tomllib.loads((files("gateway.domain") / "origins.toml").read_text("utf-8"))
    return Origins(
        exact={origin: Channel(channel) for origin, channel in data["exact"].items()},
        prefixes={prefix: Channel(channel) for prefix, channel in data["prefix"].items()},
        default=Channel(data["default"]),
    )
