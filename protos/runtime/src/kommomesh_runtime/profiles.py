"""The business profiles of the accounts, read anew when their files change."""

from pathlib import Path

from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profile import BusinessProfile, ProfileError, load_profile

Stamp = tuple[int, int, int] | None

log = get_logger()


def _stamp(directory: Path) -> Stamp:
    try:
        status = (directory / "business.toml").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Profiles:
    """Gives the newest good profile of each account.

    A version that cannot be used is logged once and changes nothing. An account that never had a good one speaks with
    the shipped texts and is always open, so that its clients still hear that a person was called.
    """

    def __init__(self) -> None:
        self._shipped = load_profile(None)
        self._known: dict[str, tuple[Stamp, BusinessProfile]] = {}

    def get(self, account: Account) -> BusinessProfile:
        """Return the profile of an account."""
        if account.profile is None:
            return self._shipped
        stamp = _stamp(account.profile)
        known = self._known.get(account.id)
        if known and known[0] == stamp:
            return known[1]
        profile = self._load(account, account.profile, known[1] if known else None)
        self._known[account.id] = (stamp, profile)
        return profile

    def _load(self, account: Account, directory: Path, old: BusinessProfile | None) -> BusinessProfile:
        try:
            profile = load_profile(directory)
        except ProfileError as error:
            log.error("profile.refused", account_id=account.id, problem=str(error), keeps_old=old is not None)
            return old or self._shipped.model_copy(update={"hours": {}, "locale": account.locale})
        log.info("profile.loaded", account_id=account.id)
        return profile


def read_profiles(accounts: Accounts) -> Profiles:
    """Return the profiles, that of each account read once, so that a bad file is told at the start."""
    profiles = Profiles()
    for account in accounts:
        profiles.get(account)
    return profiles
