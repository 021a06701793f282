"""Watching when the accounts' tokens end, since a long-lived one is replaced by hand and nothing leaves without it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from kommo_service.adapters.metrics import TOKEN_SECONDS_LEFT
from kommo_service.domain.token_check import URGENT, last_end
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.logs import get_logger

EVERY_SECONDS = 3600.0

log = get_logger()


def look_at_tokens(accounts: Accounts, now: datetime) -> None:
    """Show how long each account's tokens are good, and log those that end within two weeks or have ended."""
    TOKEN_SECONDS_LEFT.clear()
    for account in accounts:
        ends_at = last_end(one.get_secret_value() for one in account.secret("access_token"))
        if ends_at is not None:
            TOKEN_SECONDS_LEFT.labels(account.id).set((ends_at - now).total_seconds())
            _tell(account, ends_at, now)


def _tell(account: Account, ends_at: datetime, now: datetime) -> None:
    if ends_at <= now:
        log.error("token.expired", account_id=account.id, ended_at=ends_at.isoformat())
    elif ends_at - now <= URGENT:
        log.warning("token.expires_soon", account_id=account.id, ends_at=ends_at.isoformat())


@asynccontextmanager
async def watched_tokens(
    accounts: Accounts, now: Callable[[], datetime], every_seconds: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Look at the tokens at once and then every hour, while inside.

    Args:
        accounts: the accounts, as they are at each look.
        now: returns the time.
        every_seconds: time between two looks.
    """

    async def look_again_and_again() -> None:
        while True:
            try:
                look_at_tokens(accounts, now())
            except Exception:  # a secret that cannot be read now must not end the watch over the others
                log.exception("token_watch.failed")
            await asyncio.sleep(every_seconds)

    task = asyncio.create_task(look_again_and_again(), name="token-watch")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
