"""The check of an account against the simulator: each planted misconfiguration is found, and its remedy named."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kommo_service.adapters.account_check import AccountCheck, CheckOrder
from kommo_service.adapters.kommo_http import KommoHttp, open_client
from kommo_service.domain.findings import Finding, Severity
from kommo_service.domain.limiter import Limiter
from kommo_simulator import RunningSimulator
from kommo_simulator.faults import FaultOrder, Match
from kommomesh.kommo.v1 import account_check_pb2 as check_pb
from kommomesh_runtime.accounts import Account, SecretRef

SECRET = "Zt7hQ9wLx2RkV4nBf8Ty3mPd6sJc1gAe"
BOT = "https://bot.example.com"
WEBHOOK = f"{BOT}/api/kommo/webhook/{SECRET}"
MISSING = Path("/nonexistent")
CHANNEL_ID = "7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34"


def secrets(**named: str) -> dict[str, Any]:
    return {name: (SecretRef(value=SecretStr(text)),) for name, text in named.items()}


def token(**claims: Any) -> str:
    """A token as Kommo makes them, with no valid signature."""
    said = {"exp": 4_000_000_000, "account_id": 12345, "scopes": ["send_external_messages", "list_external_messages"]}
    parts = [{"alg": "RS256"}, {**said, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


GOOD_TOKEN = token()


@pytest.fixture
def world(simulated: Callable[..., Any]) -> Callable[..., Any]:
    """A simulator in which everything is as it should be, but for the changes."""
    return partial(simulated, access_token=GOOD_TOKEN, webhook_urls=(WEBHOOK,), adopt_unknown_chats=False)


def right_account(simulator: RunningSimulator, **changes: Any) -> Account:
    settings = simulator.simulator.settings
    channel = {
        "scope_id": settings.scope_id,
        "channel_id": settings.channel_id,
        "amojo_id": settings.amojo_id,
        "bot_id": settings.bot_id,
        "code": settings.origin,
        **changes.pop("channel", {}),
    }
    named = {
        "webhook_secret": SECRET,
        "access_token": settings.access_token.get_secret_value(),
        "channel_secret": settings.channel_secret.get_secret_value(),
        **changes.pop("secret", {}),
    }
    people = [user.amojo_id for user in simulator.simulator.world.users if user.amojo_id]
    return Account.model_validate(
        {
            "id": "12345",
            "subdomain": "test",
            "kommo_base_url": simulator.url,
            "chats_base_url": simulator.url,
            "public_url": BOT,
            "channel": channel,
            "user_amojo_ids": people,
            "secrets": {name: refs for name, refs in secrets(**named).items() if named[name]},
            **changes,
        }
    )


@pytest.fixture
async def check() -> AsyncIterator[Callable[..., Any]]:
    """Check an account; the clock may be off."""
    async with open_client() as client:

        async def run(account: Account, *others: Account, off: float = 0.0, **order: Any) -> dict[str, Finding]:
            def now() -> datetime:
                return datetime.now(UTC) + timedelta(seconds=off)

            def host(url: str) -> KommoHttp:
                return KommoHttp(client, url, account.id, Limiter(1000.0), now=now, jitter=lambda: 0.0)

            found = await AccountCheck(account, others, host, now, CheckOrder(**order)).run()
            assert not [one for one in found if SECRET in one.summary + one.remedy or GOOD_TOKEN in one.summary]
            return {one.check: one for one in sorted(found, key=lambda one: list(Severity).index(one.severity))}

        yield run


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    """What is to be changed, with its remedy."""
    bad = (Severity.PROBLEM, Severity.WARNING)
    return {name: one.remedy for name, one in found.items() if one.severity in bad}


@pytest.mark.parametrize("adopts", [False, True])
async def test_given_everything_right_when_checked_then_nothing_is_to_repair_and_nobody_gets_a_message(
    world: Callable[..., Any], check: Callable[..., Any], adopts: bool
) -> None:
    async with world(adopt_unknown_chats=adopts) as simulator:
        found = await check(right_account(simulator))
        assert wrong(found) == {}
        looked_at = {
            "account", "bot", "channel", "clock", "plan", "profile", "token_expiry", "token_scopes", "users", "webhook",
        }  # fmt: skip
        assert looked_at <= {name for name, one in found.items() if one.severity is Severity.OK}
        assert simulator.simulator.world.messages == {}
        assert simulator.simulator.quota.used == 0


BY_FIELD = {"transports": ("salesbot_field",), "salesbot": {"field_id": 7, "bot_id": 9, "field_limit": 1000}}
PLANTED: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("token that ended", {"access_token": token(exp=1_700_000_000)}, {}, "token_expiry", "long-lived token"),
    ("token of another account", {"access_token": token(account_id=777)}, {}, "token_account", "in account 12345"),
    ("token without a scope", {"access_token": token(scopes=["crm"])}, {}, "token_scopes", "with these scopes"),
    ("wrong token", {}, {"secret": {"access_token": "wrong"}}, "token", "long-lived token"),
    ("scope that Kommo refuses", {"token_scopes": ("crm",)}, {}, "token_scopes", "with these scopes"),
    ("another account's id", {}, {"id": "999"}, "account", "Correct id"),
    ("renamed account", {"subdomain": "nueva"}, {}, "subdomain", 'subdomain = "nueva"'),
    ("no subscription", {"webhook_urls": ()}, {}, "webhook", "--fix"),
    ("old secret subscribed", {"webhook_urls": (f"{BOT}/api/kommo/webhook/old",)}, {}, "webhook", "newest secret"),
    ("other host subscribed", {"webhook_urls": ("https://x.example/api/kommo/webhook/y",)}, {}, "webhook", BOT),
    ("leads only", {"webhook_events": ("status_lead",)}, {}, "webhook_events", "--fix"),
    ("twice subscribed", {"webhook_urls": (WEBHOOK, f"{BOT}/api/kommo/webhook/old")}, {}, "webhook_copies", "Remove"),
    ("plan without the add-on", {"plan_has_addon": False}, {}, "plan", "Change the plan"),
    ("wrong channel secret", {}, {"secret": {"channel_secret": "f" * 40}}, "channel", "not the integration's"),
    ("channel not connected", {"channel_connected": False}, {}, "channel", "--fix"),
    ("channel id as scope", {}, {"channel": {"scope_id": CHANNEL_ID}}, "channel_ids", "_1a5c"),
    ("no bot", {}, {"channel": {"bot_id": ""}}, "bot", "channel.bot_id"),
    ("channel as bot", {}, {"channel": {"bot_id": CHANNEL_ID}}, "bot", "channel.bot_id"),
    ("people unknown", {}, {"user_amojo_ids": []}, "users", "user_amojo_ids"),
    ("no webhook secret", {}, {"secret": {"webhook_secret": ""}}, "secrets.webhook_secret", "[secrets]"),
    ("variable not set", {}, {"secrets": {"access_token": ({"env": "NO_SUCH"},)}}, "secrets.access_token", "Put"),
    ("weak webhook secret", {}, {"secret": {"webhook_secret": "hola"}}, "webhook_secret", "token_urlsafe"),
    ("secret unfit for a URL", {}, {"secret": {"webhook_secret": "a/b?c" * 8}}, "webhook_secret", "token_urlsafe"),
    ("open guide webhook", {}, {"guide_webhook": "open"}, "guide_webhook", "closed"),
    ("oauth", {}, {"authorization": "oauth"}, "authorization", "long_lived"),
    ("no transport", {}, {"transports": ()}, "transports", "talk_message"),
    ("no bot named", {}, {"transports": ("salesbot_field",)}, "transports", "field_id and bot_id"),
    ("no such field", {"salesbot_field_id": 8}, BY_FIELD, "salesbot", "text area"),
    ("field too short", {}, BY_FIELD, "salesbot", "field_limit = 256"),
    ("bots unproved", {}, {"transports": ("salesbot_return",)}, "secrets.client_secret", "[secrets]"),
    ("no profile", {}, {"profile": MISSING}, "profile", "profile check"),
    ("host that is not there", {}, {"kommo_base_url": "http://127.0.0.1:9"}, "address", "subdomain"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kommo", "ours", "name", "remedy"), [one[1:] for one in PLANTED], ids=[one[0] for one in PLANTED]
)
async def test_given_a_planted_misconfiguration_when_checked_then_it_is_found_and_the_remedy_named(
    world: Callable[..., Any],
    check: Callable[..., Any],
    kommo: dict[str, Any],
    ours: dict[str, Any],
    name: str,
    remedy: str,
) -> None:
    async with world(**kommo) as simulator:
        found = await check(right_account(simulator, **ours))
    assert remedy in wrong(found).get(name, f"not found among {wrong(found)}")


async def test_given_disabled_subscription_when_checked_then_it_says_why_and_fixing_switches_it_on(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world() as simulator:
        subscription = simulator.simulator.stage.webhooks.subscriptions[WEBHOOK]
        subscription.disabled = True
        assert "--fix" in wrong(await check(right_account(simulator)))["webhook"]
        assert subscription.disabled
        found = await check(right_account(simulator), is_fixing=True)
        assert wrong(found) == {}
        assert found["webhook_fix"].severity is Severity.OK
        assert not simulator.simulator.stage.webhooks.subscriptions[WEBHOOK].disabled


@pytest.mark.parametrize("changes", [{"webhook_urls": ()}, {"webhook_events": ("status_lead",)}])
async def test_given_wrong_subscription_when_fixing_then_it_has_what_is_needed_and_keeps_what_it_had(
    world: Callable[..., Any], check: Callable[..., Any], changes: dict[str, Any]
) -> None:
    async with world(**changes) as simulator:
        assert wrong(await check(right_account(simulator), is_fixing=True)) == {}
        events = simulator.simulator.stage.webhooks.subscriptions[WEBHOOK].settings
    assert {"add_message", "add_outgoing_message", *changes.get("webhook_events", ())} <= set(events)


async def test_given_address_by_option_when_fixing_then_it_counts_before_the_account_files(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world(webhook_urls=()) as simulator:
        await check(right_account(simulator), is_fixing=True, public_url="https://other.example.com/")
        assert [*simulator.simulator.stage.webhooks.subscriptions] == [
            f"https://other.example.com/api/kommo/webhook/{SECRET}"
        ]


async def test_given_unconnected_channel_when_fixing_then_it_is_connected(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world(channel_connected=False) as simulator:
        assert wrong(await check(right_account(simulator), is_fixing=True)) == {}
        assert simulator.simulator.is_channel_connected


@pytest.mark.parametrize(("seconds", "word"), [(-400, "behind"), (400, "ahead of")])
async def test_given_a_wrong_clock_when_checked_then_the_drift_and_ntp_are_named(
    world: Callable[..., Any], check: Callable[..., Any], seconds: float, word: str
) -> None:
    async with world() as simulator:
        found = await check(right_account(simulator), off=seconds)
    assert word in found["clock"].summary
    assert "NTP" in wrong(found)["clock"]


async def test_given_used_up_quota_when_checked_then_it_says_so(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world() as simulator:
        body = {"title": "Payment Required", "status": 402, "detail": "Over chat API limit"}
        fault = FaultOrder("status", Match(operation="send_message"), status=402, body=json.dumps(body))
        simulator.simulator.faults.add(fault)
        assert "package" in wrong(await check(right_account(simulator)))["quota"]


async def test_given_kommos_own_limit_when_checked_then_it_is_kept(simulated: Callable[..., Any]) -> None:
    async with (
        simulated(access_token=GOOD_TOKEN, webhook_urls=(WEBHOOK,), rate=7) as simulator,
        open_client() as client,
    ):
        account = right_account(simulator)
        limiter = Limiter(7)

        def host(url: str) -> KommoHttp:
            return KommoHttp(client, url, account.id, limiter, now=partial(datetime.now, UTC), jitter=lambda: 0.0)

        found = await AccountCheck(account, (), host, partial(datetime.now, UTC)).run()
        requests = (await client.get(f"{simulator.url}/control/requests")).json()["requests"]
    assert [one for one in found if one.severity is Severity.PROBLEM] == []
    assert {one["status"] for one in requests} & {429, 403} == set()


async def test_given_two_accounts_with_one_webhook_secret_when_checked_then_it_is_a_problem(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world() as simulator:
        account = right_account(simulator)
        found = await check(account, account.model_copy(update={"id": "2"}))
    assert "of its own" in wrong(found)["webhook_secret"]


async def test_given_a_profile_with_a_mistake_when_checked_then_file_line_and_field_are_named(
    world: Callable[..., Any], check: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "business.toml").write_text('name = "Uno"\ncurrency = "pesos"\n')
    async with world() as simulator:
        found = await check(right_account(simulator, profile=tmp_path))
    assert "business.toml:2: currency" in found["profile"].summary


async def test_given_the_service_when_it_lacks_others_secrets_then_that_is_not_known_and_no_problem(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    async with world() as simulator:
        found = await check(right_account(simulator, secret={"webhook_secret": ""}, profile=MISSING), is_whole=False)
    assert wrong(found) == {}
    assert {found[name].severity for name in ("secrets.webhook_secret", "profile")} == {Severity.UNKNOWN}


async def test_given_the_rpc_when_asked_by_subdomain_then_it_answers_findings(
    world: Callable[..., Any], served: Callable[..., Any]
) -> None:
    async with world(webhook_urls=()) as simulator, served(right_account(simulator)) as stub:
        answer = await stub.CheckAccount(check_pb.CheckAccountRequest(account="test"))
        fixed = await stub.CheckAccount(check_pb.CheckAccountRequest(account="12345", fix=True))
    problems = [one.check for one in answer.findings if one.severity == check_pb.FINDING_SEVERITY_PROBLEM]
    assert (answer.account_id, problems) == ("12345", ["webhook"])
    assert [one for one in fixed.findings if one.severity == check_pb.FINDING_SEVERITY_PROBLEM] == []


async def test_given_a_new_secret_before_the_subscribed_one_when_fixing_then_the_new_address_is_subscribed_too(
    world: Callable[..., Any], check: Callable[..., Any]
) -> None:
    new = "N" + SECRET[::-1]
    async with world() as simulator:
        account = right_account(simulator)
        both = (SecretRef(value=SecretStr(new)), SecretRef(value=SecretStr(SECRET)))
        account = account.model_copy(update={"secrets": {**account.secrets, "webhook_secret": both}})
        assert "the newest" in wrong(await check(account))["webhook_rotation"]
        found = await check(account, is_fixing=True)
        assert [*wrong(found)] == ["webhook_copies"]
        assert f"{BOT}/api/kommo/webhook/{new}" in simulator.simulator.stage.webhooks.subscriptions
