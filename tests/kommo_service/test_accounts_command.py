"""`kommomesh accounts` as people run it: a table, JSON, exit codes, with and without a running mesh."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.kommomesh_command import kommomesh

from kommo_service.__main__ import open_service
from kommo_service.settings import KommoSettings
from kommo_simulator import RunningSimulator
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.server import running_server


async def test_given_the_local_account_when_checked_then_a_table_and_the_exit_code_say_what_is_wrong_until_it_is_fixed(
    simulated: Callable[..., Any],
) -> None:
    async with simulated() as simulator:
        place = {"MESH_SIMULATOR_URL": simulator.url}
        status, out, _ = await kommomesh("accounts", "check", "test", **place)
        assert (status, "PROBLEM" in out, "to repair." in out) == (1, True, True)
        url = "http://127.0.0.1:8080"
        status, out, _ = await kommomesh("accounts", "check", "12345", "--fix", "--public-url", url, **place)
        assert (status, "Nothing to repair." in out) == (0, True)
        status, out, err = await kommomesh("accounts", "check", "12345", "--json", **place)
    assert (status, err) == (0, "")
    assert {"check", "severity", "summary", "remedy"} == set(json.loads(out)[0])
    assert "local-webhook-secret" not in out


async def test_given_account_files_when_listed_and_an_unknown_one_checked_then_they_are_shown_and_it_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.toml").write_text(
        'id = "7"\nsubdomain = "uno"\n[secrets]\naccess_token = [{env = "TOKEN_OF_UNO"}]\n'
    )
    place = {"MESH_ACCOUNTS_DIR": str(tmp_path), "TOKEN_OF_UNO": "s3cret-t0ken"}
    status, out, _ = await kommomesh("accounts", "list", "--json", **place)
    row = json.loads(out)[0]
    assert (status, row["id"], row["subdomain"], row["secrets"]) == (0, "7", "uno", "access_token")
    assert "s3cret-t0ken" not in out
    status, _, err = await kommomesh("accounts", "check", "99", **place)
    assert (status, "99 is not configured" in err) == (1, True)
    (tmp_path / "a.toml").write_text('id = "7"\n')
    status, _, err = await kommomesh("accounts", "list", **place)
    assert (status, "a.toml: subdomain" in err, "Traceback" in err) == (1, True, False)


async def test_given_a_running_service_when_checked_by_its_address_then_its_findings_are_printed(
    simulator: RunningSimulator, account_of: Callable[..., Account]
) -> None:
    settings = KommoSettings(port=0, drain_seconds=0, grace_seconds=1)
    async with (
        open_service(settings, Accounts.of(account_of(simulator))) as service,
        running_server([service], settings) as running,
    ):
        address = f"127.0.0.1:{running.port}"
        status, out, err = await kommomesh("accounts", "check", "12345", "--address", address, "--json")
        found = {one["check"]: one["severity"] for one in json.loads(out)}
        assert (status, err, found["webhook"], found["account"]) == (1, "", "problem", "ok")
        status, _, err = await kommomesh("accounts", "check", "99", "--address", address)
        assert (status, "99 is not configured" in err) == (1, True)


async def test_given_a_channel_when_connected_by_the_command_then_the_scope_to_write_down_is_printed(
    simulated: Callable[..., Any], tmp_path: Path
) -> None:
    async with simulated(channel_connected=False) as simulator:
        settings = simulator.simulator.settings
        (tmp_path / "a.toml").write_text(
            f'id = "12345"\nsubdomain = "test"\nkommo_base_url = "{simulator.url}"\n'
            f'chats_base_url = "{simulator.url}"\n[channel]\nscope_id = "unknown"\n'
            f'channel_id = "{settings.channel_id}"\n[secrets]\nchannel_secret = [{{env = "CHANNEL_SECRET"}}]\n'
            'access_token = [{env = "TOKEN"}]\n'
        )
        place = {
            "MESH_ACCOUNTS_DIR": str(tmp_path),
            "CHANNEL_SECRET": settings.channel_secret.get_secret_value(),
            "TOKEN": settings.access_token.get_secret_value(),
        }
        status, out, _ = await kommomesh("channel", "connect", "test", **place)
        assert (status, f'scope_id = "{settings.scope_id}"' in out) == (0, True)
        assert simulator.simulator.is_channel_connected
        status, _, err = await kommomesh("channel", "disconnect", "12345", **{**place, "CHANNEL_SECRET": "0" * 40})
    assert (status, "refuses the signature" in err, "Traceback" in err) == (1, True, False)
