"""Routes follow the accounts: new ones open, changed ones open anew, and calls under way are not cut off."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kommo_service.adapters.routes import LONGEST_CALL_SECONDS, open_routes
from kommo_service.domain.message import Message
from kommo_service.domain.outcomes import Sent
from kommo_simulator import RunningSimulator
from kommomesh_runtime.accounts import AccountNotFound, ReloadingAccounts


def file_of(account_id: str, simulator: RunningSimulator, extra: str = "") -> str:
    token = simulator.simulator.settings.access_token.get_secret_value()
    return (
        f'id = "{account_id}"\nsubdomain = "test"\nkommo_base_url = "{simulator.url}"\n{extra}'
        f'[secrets]\naccess_token = [{{file = "token"}}, {{value = "{token}"}}]\n'
    )


def message(account_id: str) -> Message:
    return Message("d1", account_id, "c1", "Hola", talk_id="5", contact_id="1")


@pytest.fixture
def opened(tmp_path: Path, simulator: RunningSimulator) -> Callable[..., Any]:
    (tmp_path / "a.toml").write_text(file_of("1", simulator))
    times = [100.0]

    def open_all() -> Any:
        accounts = ReloadingAccounts(tmp_path, reload_seconds=0)
        return open_routes(
            accounts, settle_seconds=0, now=lambda: datetime.now(UTC), clock=lambda: times[0], jitter=lambda: 0.0
        )

    open_all.times = times  # type: ignore[attr-defined]
    return open_all


async def test_given_served_accounts_when_a_file_is_added_and_removed_then_its_route_opens_and_closes(
    opened: Callable[..., Any], tmp_path: Path, simulator: RunningSimulator
) -> None:
    async with opened() as routes:
        with pytest.raises(AccountNotFound):
            routes.get("2")
        (tmp_path / "b.toml").write_text(file_of("2", simulator))
        assert isinstance((await routes.get("2").deliver(message("2"))).outcome, Sent)
        (tmp_path / "b.toml").unlink()
        with pytest.raises(AccountNotFound):
            routes.get("2")


async def test_given_route_in_use_when_its_account_changes_then_both_work_until_no_call_can_use_the_old_one(
    opened: Callable[..., Any], tmp_path: Path, simulator: RunningSimulator
) -> None:
    async with opened() as routes:
        before = routes.get("1")
        assert routes.get("1") is before
        (tmp_path / "a.toml").write_text(file_of("1", simulator, 'locale = "pt-BR"\n'))
        after = routes.get("1")
        assert after is not before
        await routes.sweep()
        assert isinstance((await before.deliver(message("1"))).outcome, Sent)
        opened.times[0] += LONGEST_CALL_SECONDS  # type: ignore[attr-defined]
        await routes.sweep()
        with pytest.raises(RuntimeError, match="closed"):
            await before.deliver(message("1"))
        assert isinstance((await after.deliver(message("1"))).outcome, Sent)


async def test_given_account_without_its_secret_when_the_secret_comes_then_the_transport_opens(
    opened: Callable[..., Any], tmp_path: Path, simulator: RunningSimulator
) -> None:
    os.utime(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text(
        f'id = "1"\nsubdomain = "test"\nkommo_base_url = "{simulator.url}"\n'
        '[secrets]\naccess_token = [{file = "token"}]\n'
    )
    async with opened() as routes:
        assert (await routes.get("1").deliver(message("1"))).outcome.reason.value == "token_missing"
        (tmp_path / "token").write_text(simulator.simulator.settings.access_token.get_secret_value())
        assert isinstance((await routes.get("1").deliver(message("1"))).outcome, Sent)
