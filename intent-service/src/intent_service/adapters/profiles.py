"""The intents files of all accounts, read from their profiles and kept up to date."""

from __future__ import annotations

import asyncio
from pathlib import Path

from intent_service.adapters.profile_file import FILE_NAME, load_profile_rules
from intent_service.adapters.rule_files import read_spellings
from intent_service.domain.analyzer import Analyzer
from intent_service.domain.profile import Profile
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profile import ProfileError, example_profile_dir

Stamp = tuple[int, int] | None

log = get_logger()


class Profiles:
    """What each business adds to the built-in intents; a bad new file never replaces a good one.

    Args:
        accounts: the accounts; each names its profile directory.
        analyzer: makes the vectors of the phrases.
    """

    def __init__(self, accounts: Accounts, analyzer: Analyzer) -> None:
        self._accounts = accounts
        self._analyzer = analyzer
        self._spellings = read_spellings()
        self._profiles: dict[str, Profile] = {}
        self._stamps: dict[str, Stamp] = {}

    def get(self, account_id: str) -> Profile | None:
        """Return what the account's business adds; None without an account, or when its file was never usable.

        Raises:
            AccountNotFound: no account has the id.
        """
        if not account_id:
            return None
        return self._profiles.get(self._accounts.get(account_id).id)

    async def refresh(self) -> dict[str, bool]:
        """Read what has changed; return for each account that changed whether its new file is in use."""
        outcome: dict[str, bool] = {}
        for account in self._accounts:
            path = (account.profile or example_profile_dir()) / FILE_NAME
            stamp = await asyncio.to_thread(_stamp, path)
            if account.id in self._stamps and stamp == self._stamps[account.id]:
                continue
            self._stamps[account.id] = stamp
            outcome[account.id] = await self._load(account, path)
        return outcome

    async def _load(self, account: Account, path: Path) -> bool:
        try:
            rules = await asyncio.to_thread(load_profile_rules, path.parent, self._spellings)
        except ProfileError as error:
            place = {"file": str(error.file), "line": error.line, "field": error.field}
            log.error("profile.rejected", account_id=account.id, problem=error.problem, **place)
            return False
        self._profiles[account.id] = await asyncio.to_thread(self._analyzer.profile, rules)
        log.info("profile.loaded", account_id=account.id, phrases=len(rules.phrases))
        return True

    async def watch(self, period_seconds: float) -> None:
        """Keep the profiles up to date until cancelled."""
        while True:
            await asyncio.sleep(period_seconds)
            await self.refresh()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
