"""CRM webhooks: subscriptions, requests with the 2 s rule, the retry schedule and the 100-failures rule."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import structlog

from kommo_simulator.background import Background
from kommo_simulator.crm_events import Fields, encode
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.webhook_plan import Passage, WebhookPlan

# Seconds before attempts 2 to 5, each after the attempt before it.
RETRY_DELAYS = (300.0, 900.0, 900.0, 3600.0)
FAILURE_WINDOW_SECONDS = 7200.0
FAILURES_ALLOWED = 100
ATTEMPTS_KEPT = 20_000
NO_ANSWER = 0
CLOSED_BY_CALLER = 499

log = structlog.get_logger()


@dataclass(slots=True)
class Subscription:
    """One destination of CRM webhooks."""

    id: int
    destination: str
    settings: list[str]
    sort: int
    created_at: int
    updated_at: int
    disabled: bool = False
    failed_at: deque[float] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of one webhook, and its answer; `status` 0 = none came, 499 = too late."""

    event: str
    chat_id: str
    destination: str
    number: int
    request_id: str
    at: float
    status: int
    seconds: float


@dataclass(slots=True)
class Job:
    """One webhook on its way to one destination."""

    event: str
    chat_id: str
    subscription: Subscription
    body: bytes
    delay: float
    passage: Passage

    @property
    def first_answered(self) -> asyncio.Event:
        """Set once the first attempt was answered, or given up."""
        return self.passage.done


def next_delay(attempt: int, status: int) -> float | None:
    """Return the seconds until the next attempt, before scaling; None when there is none.

    Args:
        attempt: number of the attempt that was just answered, from 1.
        status: its answer; 0 = none came, 499 = the two seconds were over.

    Source: Kommo webhooks, retry schedule.
    """
    if 100 <= status <= 299 or attempt > len(RETRY_DELAYS):
        return None
    if attempt >= 3 and status < CLOSED_BY_CALLER:
        return None
    return RETRY_DELAYS[attempt - 1]


class Webhooks:
    """Sends CRM webhooks to everything that subscribed to them."""

    def __init__(
        self,
        settings: SimulatorSettings,
        background: Background,
        session: Callable[[], aiohttp.ClientSession],
        now: Callable[[], float],
        new_id: Callable[[], str],
        plan: WebhookPlan,
    ) -> None:
        self._settings = settings
        self._background = background
        self.plan = plan
        self.session = session
        self._now = now
        self._new_id = new_id
        self._slots = asyncio.Semaphore(settings.webhook_concurrency)
        self.attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)
        self.pending = 0
        self.subscriptions: dict[str, Subscription] = {}
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget all attempts and go back to the subscriptions of the settings."""
        self.attempts.clear()
        self.subscriptions.clear()
        for url in self._settings.webhook_urls:
            self.subscribe(url, self._settings.webhook_events, 10)

    def subscribe(self, destination: str, events: Iterable[str], sort: int) -> Subscription:
        """Add a subscription; an existing one for the same destination is updated and switched on."""
        at = int(self._now())
        found = self.subscriptions.get(destination)
        if found is None:
            self._last_id += 1
            found = Subscription(self._last_id, destination, [], sort, at, at)
            self.subscriptions[destination] = found
        found.settings, found.sort, found.updated_at, found.disabled = list(events), sort, at, False
        found.failed_at.clear()
        return found

    def raise_event(
        self, event: str, chat_id: str, fields: Fields, copies: int = 1, delay: float = 0.0
    ) -> Sequence[Job]:
        """Start sending one event to its subscribers, `copies` times each, after `delay` seconds."""
        body = encode(fields)
        jobs = [
            self._job(event, chat_id, subscription, body, delay)
            for subscription in self.subscriptions.values()
            if event in subscription.settings and not subscription.disabled
            for _ in range(copies)
        ]
        for job in jobs:
            self.pending += 1
            self._background.spawn(self._run(job)).add_done_callback(partial(self._finish, job))
        return jobs

    def switch(self, destination: str, disabled: bool) -> bool:
        """Switch a subscription off or on, as an administrator would; false when there is none."""
        found = self.subscriptions.get(destination)
        if found is not None:
            found.disabled = disabled
            found.failed_at.clear()
        return found is not None

    def _job(self, event: str, chat_id: str, subscription: Subscription, body: bytes, delay: float) -> Job:
        passage, ordered = self.plan.enter(event, chat_id)
        return Job(event, chat_id, subscription, body, delay + ordered, passage)

    def _finish(self, job: Job, _: asyncio.Task[None]) -> None:
        self.pending -= 1
        job.first_answered.set()

    async def _run(self, job: Job) -> None:
        await asyncio.sleep(job.delay)
        await job.passage.free.wait()
        number = 1
        while self.subscriptions.get(job.subscription.destination) is job.subscription:
            if job.subscription.disabled:
                return
            status = await self._attempt(job, number)
            job.first_answered.set()
            delay = next_delay(number, status)
            if delay is None:
                return
            await asyncio.sleep(delay * self._settings.time_scale)
            number += 1

    async def _attempt(self, job: Job, number: int) -> int:
        request_id = self._new_id()
        async with self._slots:
            at, started = self._now(), time.monotonic()
            status = await self._post(job, request_id)
        seconds = round(time.monotonic() - started, 4)
        destination = job.subscription.destination
        self.attempts.append(Attempt(job.event, job.chat_id, destination, number, request_id, at, status, seconds))
        if not 100 <= status <= 299:
            self._count_failure(job.subscription, status)
        return status

    async def _post(self, job: Job, request_id: str) -> int:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "amoCRM-Webhooks/3.0",
            "X-Amocrm-Requestid": request_id,
            "Accept-Encoding": "gzip",
        }
        timeout = aiohttp.ClientTimeout(total=self._settings.webhook_timeout_seconds)
        return await post(self.session(), job.subscription.destination, job.body, headers, timeout)

    def _count_failure(self, subscription: Subscription, status: int) -> None:
        now = self._now()
        failed_at = subscription.failed_at
        failed_at.append(now)
        while failed_at[0] < now - FAILURE_WINDOW_SECONDS * self._settings.time_scale:
            failed_at.popleft()
        log.warning("webhook.refused", subscription=subscription.id, status=status, failures=len(failed_at))
        if len(failed_at) > FAILURES_ALLOWED and not subscription.disabled:
            subscription.disabled = True
            log.error("webhook_subscription.disabled", subscription=subscription.id)


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], timeout: aiohttp.ClientTimeout
) -> int:
    """Post a body and return the status: 499 when the time was over, 0 when no answer came."""
    try:
        async with session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            await answer.read()
            return answer.status
    except TimeoutError:
        return CLOSED_BY_CALLER
    except (aiohttp.ClientError, OSError, ValueError):
        return NO_ANSWER
