"""Profiles: the newest good version of each account's."""

import os
from pathlib import Path

import pytest

from gateway.worker.settings import WorkerSettings
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.profiles import Profiles

GOOD = 'name = "Primero"\n[hours]\nmonday = [{opens = "09:00:00", closes = "10:00:00"}]\n'
NEWER = 'name = "Segundo"\nlocale = "pt-BR"\n'


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(id="1", subdomain="uno", locale="pt-BR", profile=tmp_path)


def write(account: Account, text: str, version: int) -> None:
    """Write a version of a profile; its time tells it from the one before on any file system."""
    path = account.profile / "business.toml"
    path.write_text(text)
    os.utime(path, ns=(version, version))


def test_given_changed_file_when_asked_again_then_newer_version(account):
    profiles = Profiles()
    write(account, GOOD, 1)
    assert profiles.get(account).name == "Primero"
    write(account, NEWER, 2)
    assert profiles.get(account).name == "Segundo"


@pytest.mark.parametrize("bad", ["name = ", 'name = "x"\nunknown = 1\n'])
def test_given_bad_new_version_when_asked_again_then_old_kept_until_a_good_one_comes(account, bad):
    profiles = Profiles()
    write(account, GOOD, 1)
    assert profiles.get(account).name == "Primero"
    write(account, bad, 2)
    assert profiles.get(account).name == "Primero"
    write(account, NEWER, 3)
    assert profiles.get(account).name == "Segundo"


def test_given_removed_file_when_asked_again_then_old_kept(account):
    profiles = Profiles()
    write(account, GOOD, 1)
    profiles.get(account)
    (account.profile / "business.toml").unlink()
    assert profiles.get(account).name == "Primero"


def test_given_no_good_version_ever_when_asked_then_shipped_texts_in_accounts_language(account):
    profile = Profiles().get(account)
    assert profile.text("failure_notice", "pt") == profile.texts["failure_notice"]["pt"]
    assert profile.language == "pt"
    assert not profile.hours


def test_given_unchanged_file_when_asked_again_then_not_read_again(account):
    profiles = Profiles()
    write(account, GOOD, 1)
    assert profiles.get(account) is profiles.get(account)


def test_given_nothing_set_when_settings_made_then_local_defaults_and_a_name_of_its_own(monkeypatch):
    monkeypatch.setenv("MESH_KOMMO_ADDRESS", "dns:///kommo.example:50051")
    first, second = WorkerSettings(), WorkerSettings()
    assert first.worker_id != second.worker_id
    assert first.conversation_address == "dns:///127.0.0.1:50061"
    assert first.kommo_address == "dns:///kommo.example:50051"
    assert (first.max_turns_in_flight, first.max_deliveries_in_flight, first.lease_wait_seconds) == (64, 32, 15.0)
