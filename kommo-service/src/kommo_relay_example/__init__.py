"""An example of the program that an owner of a channel runs between the mesh and a messenger."""

from kommo_relay_example.relay import Relay, RelaySettings
from kommo_relay_example.server import RunningRelay, running_relay

__all__ = ["Relay", "RelaySettings", "RunningRelay", "running_relay"]
