"""The end of an account's tokens: shown, and told of in time."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from kommo_service.adapters.metrics import TOKEN_SECONDS_LEFT
from kommo_service.adapters.token_watch import look_at_tokens, watched_tokens
from kommo_service.domain.token_check import last_end
from kommomesh_runtime.accounts import Account, Accounts, SecretRef

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def token(days: float | None) -> str:
    claims = {} if days is None else {"exp": int((NOON + timedelta(days=days)).timestamp())}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


def account(account_id: str, *tokens: str) -> Account:
    refs = tuple(SecretRef(value=SecretStr(one)) for one in tokens)
    return Account(id=account_id, subdomain="test", secrets={"access_token": refs})


def days_left() -> dict[str, int]:
    samples = (one for metric in TOKEN_SECONDS_LEFT.collect() for one in metric.samples)
    return {one.labels["account_id"]: round(one.value / 86_400) for one in samples}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([20], 20),
        ([20, 3], 20),
        ([3, 20], 20),
        ([None], None),
        ([None, 3], None),
        ([], None),
    ],
)
def test_given_tokens_when_asked_then_the_last_that_ends_counts_and_one_that_does_not_say_ends_never(days, expected):
    ends_at = last_end(token(one) for one in days)
    assert ends_at == (None if expected is None else NOON + timedelta(days=expected))
    assert last_end(["local-development-token"]) is None


def test_given_accounts_when_looked_at_then_those_that_end_soon_are_told_and_all_are_shown():
    accounts = Accounts.of(
        account("good", token(15)),
        account("soon", token(13)),
        account("over", token(-1)),
        account("rotated", token(300), token(2)),
        account("opaque", "local-development-token"),
    )
    with capture_logs() as logs:
        look_at_tokens(accounts, NOON)
    told = [(line["log_level"], line["event"], line["account_id"]) for line in logs]
    assert told == [("warning", "token.expires_soon", "soon"), ("error", "token.expired", "over")]
    assert days_left() == {"good": 15, "soon": 13, "over": -1, "rotated": 300}
    look_at_tokens(Accounts.of(account("soon", token(90))), NOON)
    assert days_left() == {"soon": 90}


async def test_given_a_token_that_is_replaced_when_watched_then_the_next_look_shows_the_new_one(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text(token(1))
    one = Account(id="filed", subdomain="test", secrets={"access_token": (SecretRef(file=path),)})
    async with watched_tokens(Accounts.of(one), lambda: NOON, every_seconds=0.01), asyncio.timeout(60):
        while days_left() != {"filed": 1}:
            await asyncio.sleep(0)
        path.write_text(token(365))
        while days_left() != {"filed": 365}:
            await asyncio.sleep(0.01)
    assert days_left() == {"filed": 365}
