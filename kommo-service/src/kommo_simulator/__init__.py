"""A faithful Kommo for development and tests: webhooks out, REST v4, Chats API, faults, and a chat page."""

from kommo_simulator.app import create_app
from kommo_simulator.server import RunningSimulator, running_simulator
from kommo_simulator.settings import SimulatorSettings

__all__ = ["RunningSimulator", "SimulatorSettings", "create_app", "running_simulator"]
