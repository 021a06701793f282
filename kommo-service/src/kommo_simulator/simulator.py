"""One running simulator: its account, its limits, its faults, and what listens to them."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from starlette.requests import Request

from kommo_simulator.background import Background
from kommo_simulator.chats_hooks import ChatsHooks
from kommo_simulator.faults import REQUESTS_KEPT, Faults, Received
from kommo_simulator.limits import Quota, RateLimit
from kommo_simulator.media import MediaStore
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.stage import Stage
from kommo_simulator.state import World
from kommo_simulator.webhook_plan import WebhookPlan
from kommo_simulator.webhooks_out import Webhooks


@dataclass(slots=True)
class Simulator:
    """Everything a request handler may need; `settings` is a copy of `first_settings` that may change."""

    first_settings: SimulatorSettings
    machine_now: Callable[[], float]
    clock: Callable[[], float]
    new_id: Callable[[], str]
    faults: Faults = field(default_factory=Faults)
    received: deque[Received] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))
    is_channel_connected: bool = False
    is_uninstalled: bool = False
    plan: WebhookPlan = field(default_factory=WebhookPlan)
    settings: SimulatorSettings = field(init=False)
    world: World = field(init=False)
    media: MediaStore = field(init=False)
    quota: Quota = field(init=False)
    rate_limit: RateLimit = field(init=False)
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings = self.first_settings.model_copy()
        self.media = MediaStore(settings)
        self.is_channel_connected = settings.channel_connected
        self.world = World(settings, self.now, self.new_id)
        self.quota = Quota(settings.quota, self.now)
        ban_seconds = settings.ban_seconds * settings.time_scale
        self.rate_limit = RateLimit(settings.rate, settings.ban_after, ban_seconds, self.clock)

    def now(self) -> float:
        """Return unix seconds by Kommo's clock, which the settings may move away from the machine's."""
        return self.machine_now() + self.settings.clock_ahead_seconds

    @staticmethod
    def of(request: Request) -> "Simulator":
        """Return the simulator that serves a request."""
        return cast(Simulator, request.app.state.simulator)

    def open(self, background: Background, session: aiohttp.ClientSession) -> None:
        """Connect the account to its webhooks."""
        webhooks = Webhooks(self.settings, background, lambda: session, self.now, self.new_id, self.plan)
        chats_hooks = ChatsHooks(self.settings, background, lambda: session, self.now, self.plan)
        self.stage = Stage(self.settings, self.world, webhooks, chats_hooks, self.media, background)

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change settings while running, all of them or, when one is refused, none.

        Raises:
            pydantic.ValidationError: a value is not allowed.
        """
        trial = self.settings.model_copy()
        for target in (trial, self.settings):
            for name, value in changes.items():
                setattr(target, name, value)
        self.quota.quota = self.settings.quota
        self.rate_limit.rate = self.settings.rate

    def uninstall(self) -> None:
        """Take the integration out of the account: its token, its webhooks and its channel go with it."""
        self.is_uninstalled, self.is_channel_connected = True, False
        self.stage.webhooks.subscriptions.clear()

    def reset(self) -> None:
        """Go back to the state of the start: no chats, files, faults or log, the first settings and subscriptions."""
        self.stage.background.cancel()
        self.plan.clear()
        self.change_settings({name: getattr(self.first_settings, name) for name in type(self.settings).model_fields})
        self.media.clear()
        self.world.clear()
        self.stage.webhooks.reset()
        self.stage.chats_hooks.attempts.clear()
        self.quota.reset()
        self.rate_limit.reset()
        self.faults.clear()
        self.received.clear()
        self.is_uninstalled = False
        self.is_channel_connected = self.settings.channel_connected
