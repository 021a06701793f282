"""Accounts and business profiles: what is accepted, and what a refusal says."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kommomesh_runtime.accounts import AccountNotFound, AccountsInvalid, load_accounts
from kommomesh_runtime.profile import ProfileError, load_profile

BUENOS_AIRES = ZoneInfo("America/Argentina/Buenos_Aires")


def test_given_nothing_when_loaded_then_the_local_account_speaks_to_the_simulator():
    account = load_accounts(None, {}).get("12345")
    assert (account.subdomain, account.guide_webhook) == ("test", "open")
    assert account.kommo_base_url == "http://127.0.0.1:8090"
    assert account.secret("access_token", {})[0].get_secret_value() == "local-development-token"


def test_given_guide_variables_when_loaded_then_guide_webhook_is_closed_and_missing_secrets_are_missing():
    environ = {"KOMMO_ACCOUNT_ID": "77", "KOMMO_ACCOUNT_SUBDOMAIN": "tienda", "KOMMO_WEBHOOK_SECRET": "s3cret"}
    account = load_accounts(None, environ).get("77")
    assert account.guide_webhook == "closed"
    assert account.kommo_base_url == "https://tienda.kommo.com"
    assert [secret.get_secret_value() for secret in account.secret("webhook_secret", environ)] == ["s3cret"]
    assert account.secret("access_token", environ) == ()
    assert "s3cret" not in repr(account.secret("webhook_secret", environ))


def test_given_directory_when_loaded_then_each_file_is_an_account_and_secrets_rotate(tmp_path: Path):
    (tmp_path / "token").write_text("old\n")
    (tmp_path / "a.toml").write_text(
        f'id = "1"\nsubdomain = "a"\nprofile = "negocio"\n[secrets]\naccess_token = [{{file = "{tmp_path}/token"}}]\n'
    )
    account = load_accounts(tmp_path, {}).get("1")
    assert account.profile == tmp_path / "negocio"
    assert account.secret("access_token", {})[0].get_secret_value() == "old"
    (tmp_path / "token").write_text("new\n", "utf-8-sig")
    assert account.secret("access_token", {})[0].get_secret_value() == "new"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id = ", "a.toml"),
        ('id = "1"\nsubdomain = "a"\nrequests_per_second = 0', "requests_per_second"),
        ('id = "1"\nsubdomain = "a"\ntypo = 1', "typo"),
        ('id = "1"\nsubdomain = "a"\n[secrets]\naccess_token = [{env = "A", file = "b"}]', "exactly one"),
    ],
)
def test_given_wrong_account_file_when_loaded_then_the_refusal_names_it(tmp_path: Path, text: str, problem: str):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(AccountsInvalid, match=problem):
        load_accounts(tmp_path, {})


def test_given_two_files_of_one_account_when_loaded_then_refused(tmp_path: Path):
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text('id = "1"\nsubdomain = "a"')
    with pytest.raises(AccountsInvalid, match="another file"):
        load_accounts(tmp_path, {})


def test_given_unknown_id_when_asked_then_not_found():
    with pytest.raises(AccountNotFound):
        load_accounts(None, {}).get("nope")


def test_given_example_business_when_loaded_then_texts_exist_in_three_languages():
    profile = load_profile(None)
    for key in ("handoff_notice", "handoff_notice_closed", "failure_notice", "media_voice", "media_other"):
        assert len({profile.text(key, language) for language in ("es", "pt", "en")}) == 3
    assert profile.text("media_voice", "fr") == profile.text("media_voice", "es")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 11, 23, 9, 29, tzinfo=BUENOS_AIRES), False),
        (datetime(2026, 11, 23, 9, 30, tzinfo=BUENOS_AIRES), True),
        (datetime(2026, 11, 23, 19, 0, tzinfo=BUENOS_AIRES), False),
        (datetime(2026, 11, 28, 13, 0, tzinfo=BUENOS_AIRES), True),
        (datetime(2026, 11, 29, 13, 0, tzinfo=BUENOS_AIRES), False),
    ],
)
def test_given_hours_when_asked_then_local_time_decides(moment: datetime, is_open: bool):
    assert load_profile(None).is_open(moment) is is_open


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('name = "x"\ncurrency = "pesos"\n', "business.toml:2: currency"),
        ('name = "x"\n\n[hours]\nlunes = []\n', "hours"),
        ('name = "x"\ntimezone = "Mars/Base"\n', "business.toml:2: timezone"),
        ('name = "x\n', "business.toml:1"),
    ],
)
def test_given_wrong_profile_when_loaded_then_file_line_and_field_are_named(tmp_path: Path, text: str, place: str):
    (tmp_path / "business.toml").write_text(text)
    with pytest.raises(ProfileError, match=place):
        load_profile(tmp_path)
