"""Accounts that follow their files: what counts at once, and what a bad file cannot do."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kommomesh_runtime.accounts import Account, AccountNotFound, AccountsInvalid, ReloadingAccounts, load_accounts

_versions = count(1)


def write(path: Path, text: str) -> None:
    """Replace a file as an editor does, with a time of its own."""
    new = path.with_suffix(".new")
    new.write_text(text)
    moment = 1_700_000_000 + next(_versions)
    os.utime(new, (moment, moment))
    new.replace(path)


def account_text(account_id: str, rate: float = 7) -> str:
    return f'id = "{account_id}"\nsubdomain = "s{account_id}"\nrequests_per_second = {rate}\n'


@pytest.fixture
def logs() -> Iterator[list[dict]]:
    with capture_logs() as found:
        yield found


def at_once(directory: Path) -> ReloadingAccounts:
    return ReloadingAccounts(directory, reload_seconds=0)


def served(accounts: ReloadingAccounts) -> dict[str, float]:
    return {account.id: account.requests_per_second for account in accounts}


def test_given_files_when_one_is_added_changed_and_removed_then_the_same_object_follows(tmp_path: Path, logs):
    write(tmp_path / "a.toml", account_text("1"))
    accounts = at_once(tmp_path)
    write(tmp_path / "b.toml", account_text("2"))
    assert served(accounts) == {"1": 7, "2": 7}
    write(tmp_path / "b.toml", account_text("2", rate=3))
    assert served(accounts) == {"1": 7, "2": 3}
    (tmp_path / "a.toml").unlink()
    with pytest.raises(AccountNotFound):
        accounts.get("1")
    assert (len(accounts), "1" in accounts, "2" in accounts) == (1, False, True)
    assert [(one["event"], one["account_id"]) for one in logs] == [
        ("account.loaded", "2"),
        ("account.loaded", "2"),
        ("account.closed", "1"),
    ]


def test_given_account_that_did_not_change_when_another_does_then_it_stays_the_same_object(tmp_path: Path):
    write(tmp_path / "a.toml", account_text("1"))
    accounts = at_once(tmp_path)
    before: Account = accounts.get("1")
    write(tmp_path / "b.toml", account_text("2"))
    write(tmp_path / "a.toml", "# a comment\n" + account_text("1"))
    assert "2" in accounts
    assert accounts.get("1") is before


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("id = ", ""),
        (account_text("1", rate=0), "requests_per_second"),
        (account_text("1") + "typo = 1\n", "typo"),
        ("\udcff\udcfe", ""),
    ],
)
def test_given_good_file_when_its_new_version_is_bad_then_the_good_one_stays_and_one_line_says_why(
    tmp_path: Path, logs, text: str, field: str
):
    write(tmp_path / "a.toml", account_text("1", rate=5))
    accounts = at_once(tmp_path)
    (tmp_path / "a.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [served(accounts) for _ in range(3)] == [{"1": 5}] * 3
    assert [(one["event"], one["file"], one["field"]) for one in logs] == [
        ("account.rejected", str(tmp_path / "a.toml"), field)
    ]
    write(tmp_path / "a.toml", account_text("1", rate=6))
    assert served(accounts) == {"1": 6}


def test_given_bad_new_file_when_added_then_the_others_are_served_and_it_counts_once_corrected(tmp_path: Path, logs):
    write(tmp_path / "a.toml", account_text("1"))
    accounts = at_once(tmp_path)
    write(tmp_path / "b.toml", "id =")
    assert served(accounts) == {"1": 7}
    write(tmp_path / "b.toml", account_text("2"))
    assert served(accounts) == {"1": 7, "2": 7}


def test_given_served_account_when_a_file_before_it_names_it_too_then_it_is_not_replaced(tmp_path: Path, logs):
    write(tmp_path / "b.toml", account_text("1", rate=5))
    accounts = at_once(tmp_path)
    write(tmp_path / "a.toml", account_text("1", rate=9))
    assert served(accounts) == {"1": 5}
    assert [(one["event"], one["field"]) for one in logs] == [("account.rejected", "id")]


def test_given_directory_when_it_is_away_for_a_moment_then_nobody_is_closed(tmp_path: Path):
    directory = tmp_path / "accounts"
    directory.mkdir()
    write(directory / "a.toml", account_text("1"))
    accounts = at_once(directory)
    directory.rename(tmp_path / "away")
    assert served(accounts) == {"1": 7}


def test_given_directory_of_links_when_the_link_behind_them_turns_then_the_new_content_counts(tmp_path: Path):
    for version, rate in (("v1", 1), ("v2", 2)):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "a.toml", account_text("1", rate))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "a.toml").symlink_to("..data/a.toml")
    accounts = at_once(tmp_path)
    assert served(accounts) == {"1": 1}
    (tmp_path / "turned").symlink_to("v2")
    (tmp_path / "turned").rename(tmp_path / "..data")
    assert served(accounts) == {"1": 2}


def test_given_little_time_since_the_last_look_when_asked_then_no_file_is_read(tmp_path: Path):
    at = [100.0]
    write(tmp_path / "a.toml", account_text("1"))
    accounts = ReloadingAccounts(tmp_path, reload_seconds=2, clock=lambda: at[0])
    write(tmp_path / "a.toml", account_text("1", rate=3))
    at[0] += 1.9
    assert served(accounts) == {"1": 7}
    at[0] += 0.2
    assert served(accounts) == {"1": 3}


def test_given_directory_when_loaded_by_its_setting_then_it_follows_the_files(tmp_path: Path):
    write(tmp_path / "a.toml", account_text("1"))
    accounts = load_accounts(tmp_path, {"MESH_ACCOUNTS_RELOAD_SECONDS": "0"})
    write(tmp_path / "b.toml", account_text("2"))
    assert [account.id for account in accounts] == ["1", "2"]


def test_given_bad_file_at_the_start_when_loaded_then_refused_with_file_and_field(tmp_path: Path):
    write(tmp_path / "a.toml", account_text("1", rate=0))
    with pytest.raises(AccountsInvalid) as caught:
        at_once(tmp_path)
    assert (caught.value.file, caught.value.field) == (tmp_path / "a.toml", "requests_per_second")


def test_given_relative_secret_file_when_loaded_then_it_is_beside_the_account(tmp_path: Path):
    (tmp_path / "token").write_text("t0ken\n")
    write(tmp_path / "a.toml", account_text("1") + '[secrets]\naccess_token = [{file = "token"}]\n')
    (token,) = at_once(tmp_path).get("1").secret("access_token", {})
    assert token.get_secret_value() == "t0ken"


@pytest.mark.parametrize(
    ("variable", "url"),
    [("https://bot.example.com/api/kommo/webhook", "https://bot.example.com"), ("nonsense", ""), ("", "")],
)
def test_given_guides_webhook_url_when_loaded_then_the_account_knows_where_kommo_reaches_it(variable: str, url: str):
    environ = {"KOMMO_ACCOUNT_SUBDOMAIN": "tienda", "KOMMO_WEBHOOK_URL": variable}
    (account,) = load_accounts(None, environ)
    assert account.public_url == url
