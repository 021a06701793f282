"""Hot reload: what changes on disk is used, what is wrong is not."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from kommomesh_runtime.accounts import Account, AccountNotFound, Accounts
from kommomesh_runtime.profile import example_profile_dir
from llm_service.adapters.library import Library, ProfileUnavailable


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    shutil.copytree(example_profile_dir(), place)
    return place


@pytest.fixture
def library(profile: Path) -> Library:
    return Library(Accounts.of(Account(id="1", subdomain="one", profile=profile), Account(id="2", subdomain="two")))


def _rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    later = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(later, later))


async def test_given_a_changed_price_when_refreshed_then_the_new_one_is_found(library: Library, profile: Path) -> None:
    assert await library.refresh() == {"1": True, "2": True}
    _rewrite(profile / "catalog.csv", "31990", "32500")
    assert await library.refresh() == {"1": True}
    assert str(library.get("1").knowledge.products["COC-SAR-24"].price) == "32500"
    assert str(library.get("2").knowledge.products["COC-SAR-24"].price) == "31990"


async def test_given_a_bad_new_version_when_refreshed_then_the_good_one_stays(library: Library, profile: Path) -> None:
    await library.refresh()
    good = library.get("1")
    _rewrite(profile / "catalog.csv", "31990", "barato")
    assert await library.refresh() == {"1": False}
    assert library.get("1") is good
    assert await library.refresh() == {}
    _rewrite(profile / "catalog.csv", "barato", "33000")
    assert await library.refresh() == {"1": True}
    assert str(library.get("1").knowledge.products["COC-SAR-24"].price) == "33000"


async def test_given_a_profile_that_was_never_good_when_asked_then_it_is_unavailable(
    library: Library, profile: Path
) -> None:
    (profile / "business.toml").write_text("name = ")
    assert await library.refresh() == {"1": False, "2": True}
    with pytest.raises(ProfileUnavailable):
        library.get("1")
    assert library.get("2").profile.name
    assert library.is_loaded


async def test_given_an_unknown_account_when_asked_then_it_is_not_found(library: Library) -> None:
    await library.refresh()
    with pytest.raises(AccountNotFound):
        library.get("999")


async def test_given_a_watched_profile_when_a_file_changes_then_it_is_used_without_a_restart(
    library: Library, profile: Path
) -> None:
    await library.refresh()
    watcher = asyncio.create_task(library.watch(0.01))
    _rewrite(profile / "faqs.toml", "$4.500", "$4.900")
    async with asyncio.timeout(60):
        while "4.900" not in library.get("1").knowledge.faqs["shipping-cost-caba"].answer:
            await asyncio.sleep(0.01)
    watcher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watcher
